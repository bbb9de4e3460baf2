//! Lists.

use super::{Builtin, forced, lazy, streamed};
use crate::error::{Eval, Fault};
use crate::heap::Kind;
use crate::machine::Machine;
use crate::source::Pos;
use crate::symbol::{Symbol, well_known};
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "length",
        params: &[forced("list", "a list")],
        doc: "How many elements a list has.",
        run: length,
    },
    Builtin {
        name: "head",
        params: &[forced("list", "a list that is not empty")],
        doc: "The first element.",
        run: head,
    },
    Builtin {
        name: "tail",
        params: &[forced("list", "a list that is not empty")],
        doc: "The list without its first element.",
        run: tail,
    },
    Builtin {
        name: "elem",
        params: &[lazy("value", "any value"), forced("list", "a list")],
        doc: "Whether some element equals a value.",
        run: elem,
    },
    Builtin {
        name: "map",
        params: &[lazy("function", "a function of an element"), forced("list", "a list")],
        doc: "The function's results for each element, delayed.",
        run: map,
    },
    Builtin {
        name: "filter",
        params: &[lazy("keep", "a function of an element"), forced("list", "a list")],
        doc: "The elements for which the function gives true.",
        run: filter,
    },
    Builtin {
        name: "all",
        params: &[lazy("holds", "a function of an element"), forced("list", "a list")],
        doc: "Whether the function gives true for every element.",
        run: |m, args| Ok(Value::bool(!any_gives(m, args, false)?)),
    },
    Builtin {
        name: "any",
        params: &[lazy("holds", "a function of an element"), forced("list", "a list")],
        doc: "Whether the function gives true for some element.",
        run: |m, args| Ok(Value::bool(any_gives(m, args, true)?)),
    },
    Builtin {
        name: "foldl'",
        params: &[
            forced("combine", "a function of the result so far and an element"),
            lazy("start", "the result for an empty list"),
            forced("list", "a list"),
        ],
        doc: "Combines the elements from the left, evaluating each step.",
        run: foldl_strict,
    },
    Builtin {
        name: "genList",
        params: &[lazy("element", "a function of an index"), forced("length", "an integer")],
        doc: "A list of this many elements, each the function's delayed result for its index.",
        run: gen_list,
    },
    Builtin {
        name: "sort",
        params: &[
            forced("before", "a function of two elements: whether the first must come first"),
            forced("list", "a list"),
        ],
        doc: "The list in order. Elements of which neither must come first stay as they are.",
        run: sort,
    },
    Builtin {
        name: "genericClosure",
        params: &[forced("arguments", "a set of `startSet` and `operator`")],
        doc: "The start set and all that the operator gives, transitively, one for each `key`.",
        run: generic_closure,
    },
    Builtin {
        name: "elemAt",
        params: &[forced("list", "a list"), forced("index", "an integer, from 0")],
        doc: "The element of this index.",
        run: elem_at,
    },
    Builtin {
        name: "concatLists",
        params: &[streamed("lists", "a list of lists")],
        doc: "The elements of all the lists.",
        run: concat_lists,
    },
    Builtin {
        name: "concatMap",
        params: &[
            forced("function", "a function of an element that gives a list"),
            forced("list", "a list"),
        ],
        doc: "The elements of all lists that the function gives.",
        run: concat_map,
    },
    Builtin {
        name: "partition",
        params: &[forced("test", "a function of an element"), forced("list", "a list")],
        doc: "A set of two lists: `right`, of the elements that pass the test, and `wrong`.",
        run: partition,
    },
    Builtin {
        name: "groupBy",
        params: &[
            forced("name", "a function of an element that gives a string"),
            forced("list", "a list"),
        ],
        doc: "A set of lists: the elements by the name that the function gives.",
        run: group_by,
    },
];

// Plain: the argument is evaluated, and nothing else is.
fn length(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let list = m.expect_list(args[0])?;
    Ok(m.int(list.as_list().unwrap_or_default().len() as i64))
}

fn head(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let list = m.expect_list(args[0])?;
    match list.as_list().unwrap_or_default().first() {
        Some(&first) => Ok(first),
        None => Err(Fault::Argument { builtin: "head", reason: "the list is empty".into() }.into()),
    }
}

fn tail(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let list = m.expect_list(args[0])?;
    match list.as_list().unwrap_or_default().len() {
        0 => Err(Fault::Argument { builtin: "tail", reason: "the list is empty".into() }.into()),
        length => Ok(m.slice(list, 1, length - 1)),
    }
}

// Forcing: elements are evaluated until one is equal.
fn elem(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let list = m.expect_list(args[1])?;
    let items = list.as_list().unwrap_or_default();
    if items.is_empty() {
        return Ok(Value::FALSE);
    }
    let wanted = m.force(args[0])?;
    // Most that are looked for are texts.
    let text = wanted.of_kind(Kind::Str);
    for &item in items {
        let item = item.evaluated().unwrap_or(item);
        let is_equal = match (text, item.of_kind(Kind::Str)) {
            (Some(a), Some(b)) => a.has_bytes_of(b),
            _ => m.equal(wanted, item)?,
        };
        if is_equal {
            return Ok(Value::TRUE);
        }
    }
    Ok(Value::FALSE)
}

fn map(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let function = m.mapped_function(args[0], args[1])?;
    let items = args[1].as_list().unwrap_or_default();
    m.list_of_calls(items.len(), function, |_, i| items[i])
}

// Calling back.
fn filter(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let list = m.expect_list(args[1])?;
    let items = list.as_list().unwrap_or_default();
    let height = m.height();
    for &item in items {
        let keep = m.call(args[0], &[item])?;
        if m.expect_bool(keep)? {
            m.keep(item);
        }
    }
    match m.height() - height == items.len() {
        true => Ok(list),
        false => m.list_of_kept(height),
    }
}

fn any_gives(m: &mut Machine, args: &[Value], truth: bool) -> Eval<bool> {
    m.expect_callable(args[0])?;
    let list = m.expect_list(args[1])?;
    for &item in list.as_list().unwrap_or_default() {
        let result = m.call(args[0], &[item])?;
        if m.expect_bool(result)? == truth {
            return Ok(true);
        }
    }
    Ok(false)
}

// Calling back with values of its own: each result is an argument of the next call, and
// `call` keeps its arguments.
fn foldl_strict(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    m.expect_callable(args[0])?;
    let list = m.expect_list(args[2])?;
    let mut result = args[1];
    for &item in list.as_list().unwrap_or_default() {
        result = m.call(args[0], &[result, item])?;
    }
    m.force(result)
}

fn gen_list(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let length = m.expect_int(args[1])?;
    let Ok(length) = usize::try_from(length) else {
        let reason = format!("the length {length} is negative");
        return Err(Fault::Argument { builtin: "genList", reason }.into());
    };
    m.expect_callable(args[0])?;
    m.list_of_calls(length, args[0], |heap, i| heap.int(i as i64))
}

fn sort(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let list = m.expect_list(args[1])?;
    let mut items = list.as_list().unwrap_or_default().to_vec();
    if !items.is_empty() {
        m.expect_callable(args[0])?;
    }
    for item in &mut items {
        *item = m.force(*item)?;
    }
    let mut spare = items.clone();
    merge_sort(m, args[0], &mut items, &mut spare)?;
    Ok(m.list(&items))
}

/// Ranges up to this long are sorted by insertion.
const SHORT_RANGE: usize = 8;

/// Stable, and content with any function: one that contradicts itself gives some order.
fn merge_sort(
    m: &mut Machine,
    before: Value,
    items: &mut [Value],
    spare: &mut [Value],
) -> Eval<()> {
    if items.len() <= SHORT_RANGE {
        for i in 1..items.len() {
            let item = items[i];
            let mut j = i;
            while j > 0 && comes_before(m, before, item, items[j - 1])? {
                items[j] = items[j - 1];
                j -= 1;
            }
            items[j] = item;
        }
        return Ok(());
    }
    let middle = items.len() / 2;
    merge_sort(m, before, &mut items[..middle], &mut spare[..middle])?;
    merge_sort(m, before, &mut items[middle..], &mut spare[middle..])?;
    if !comes_before(m, before, items[middle], items[middle - 1])? {
        return Ok(());
    }
    spare.copy_from_slice(items);
    let (mut left, mut right) = (0, middle);
    for slot in items.iter_mut() {
        let take_right = right < spare.len()
            && (left == middle || comes_before(m, before, spare[right], spare[left])?);
        let from = if take_right { &mut right } else { &mut left };
        *slot = spare[*from];
        *from += 1;
    }
    Ok(())
}

fn comes_before(m: &mut Machine, before: Value, a: Value, b: Value) -> Eval<bool> {
    let result = m.call(before, &[a, b])?;
    m.expect_bool(result)
}

fn generic_closure(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let start = m.select(args[0], well_known::START_SET)?;
    let start = m.expect_list(start)?;
    let mut found: Vec<Value> = Vec::new();
    // Keys in order, each with nothing else: looking one up compares as `<` does.
    let mut keys: Vec<Value> = Vec::new();
    let mut pending: std::collections::VecDeque<Value> =
        start.as_list().unwrap_or_default().iter().copied().collect();
    if pending.is_empty() {
        return Ok(start);
    }
    let operator = m.select(args[0], well_known::OPERATOR)?;
    let operator = m.keep(operator);
    while let Some(item) = pending.pop_front() {
        let key = m.select(item, well_known::KEY)?;
        // The first key that is not less.
        let (mut low, mut high) = (0, keys.len());
        while low < high {
            let middle = (low + high) / 2;
            match m.less(keys[middle], key)? {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        if low < keys.len() && !m.less(key, keys[low])? {
            continue;
        }
        if keys.is_empty() {
            // Even a single key must be one that can be compared.
            m.less(key, key)?;
        }
        keys.insert(low, key);
        found.push(item);
        let more = m.call(operator, &[item])?;
        let more = m.expect_list(more)?;
        m.keep(more);
        pending.extend(more.as_list().unwrap_or_default());
    }
    Ok(m.list(&found))
}

fn elem_at(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let list = m.expect_list(args[0])?;
    let index = m.expect_int(args[1])?;
    let items = list.as_list().unwrap_or_default();
    match usize::try_from(index).ok().and_then(|index| items.get(index)) {
        Some(&item) => Ok(item),
        None => {
            let reason = format!("there is no index {index} in a list of {}", items.len());
            Err(Fault::Argument { builtin: "elemAt", reason }.into())
        }
    }
}

fn concat_lists(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let lists = m.expect_elements(args[0])?;
    let height = m.height();
    for list in lists.iter() {
        let list = m.element(list)?;
        let list = m.expect_list(list)?;
        m.keep_all(list.as_list().unwrap_or_default());
    }
    m.list_of_kept(height)
}

fn concat_map(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    m.expect_callable(args[0])?;
    let list = m.expect_list(args[1])?;
    let height = m.height();
    for &item in list.as_list().unwrap_or_default() {
        let part = m.call(args[0], &[item])?;
        let part = m.expect_list(part)?;
        m.keep_all(part.as_list().unwrap_or_default());
    }
    m.list_of_kept(height)
}

fn partition(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    m.expect_callable(args[0])?;
    let list = m.expect_list(args[1])?;
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for &item in list.as_list().unwrap_or_default() {
        // Whether the test looks at it or not, as in Nix.
        m.force(item)?;
        let passes = m.call(args[0], &[item])?;
        match m.expect_bool(passes)? {
            true => right.push(item),
            false => wrong.push(item),
        }
    }
    let (right, wrong) = (m.list(&right), m.list(&wrong));
    let (right_symbol, wrong_symbol) = (m.intern(b"right"), m.intern(b"wrong"));
    Ok(m.attrs(vec![(right_symbol, Pos::NONE, right), (wrong_symbol, Pos::NONE, wrong)]))
}

fn group_by(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    m.expect_callable(args[0])?;
    let list = m.expect_list(args[1])?;
    let mut groups: rustc_hash::FxHashMap<Symbol, Vec<Value>> = Default::default();
    for &item in list.as_list().unwrap_or_default() {
        let name = m.call(args[0], &[item])?;
        let name = m.expect_plain_string(name, "the name of an attribute")?;
        let name = m.symbol_of(name);
        groups.entry(name).or_default().push(item);
    }
    let groups = groups.into_iter().map(|(name, items)| (name, Pos::NONE, m.list(&items)));
    let groups = groups.collect();
    Ok(m.attrs(groups))
}
