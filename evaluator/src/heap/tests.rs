//! The heap by itself: what survives, what is given back, and what `//` makes.

use super::memory::HIGHEST;
use super::spans::Spans;
use super::{
    Attrs, BLOCK_BYTES, ENOUGH, FEW, FIRST_OF_MANY, Heap, Kind, LEAST, MAX_HEAP, MOST_BEYOND_ALIVE,
    MOST_TIMES_ALIVE, Mould, bytes_until_collection,
};
use crate::context::ContextId;
use crate::source::Pos;
use crate::symbol::Symbol;
use crate::value::Value;

/// Enough strings for several blocks; Miri, which is slow, gets by with fewer.
const STRINGS: usize = if cfg!(miri) { 12_000 } else { 100_000 };

fn string(heap: &mut Heap, text: &str) -> Value {
    heap.string(text.as_bytes(), ContextId::EMPTY)
}

fn set(heap: &mut Heap, names: impl IntoIterator<Item = u32>, value: i64) -> Attrs {
    let attributes = names
        .into_iter()
        .map(|name| (Symbol(name), Pos(name), Value::small_int(value).expect("small")));
    let attributes = attributes.collect();
    heap.attrs(attributes).as_attrs().expect("a set")
}

#[test]
fn what_the_roots_reach_survives_and_the_rest_is_given_back() {
    let mut heap = Heap::new(false, MAX_HEAP);
    let mut kept = Vec::new();
    for i in 0..STRINGS {
        let text = string(&mut heap, &format!("text number {i}"));
        if i % 1000 == 0 {
            kept.push(text);
        }
    }
    let mut root = heap.list(&kept);
    let before = heap.blocks.len();
    heap.collect(false, |marker| root = marker.value(root));
    let items = root.as_list().expect("a list");
    for (i, item) in items.iter().enumerate() {
        assert_eq!(item.as_bytes(), Some(format!("text number {}", i * 1000).as_bytes()));
    }
    heap.collect(false, |_| {});
    assert!(heap.blocks.len() < before, "{} of {before} blocks are left", heap.blocks.len());
    assert!(heap.blocks.len() <= 3, "only the constants' blocks stay");
    heap.give_spare_back(0);
    assert_eq!(heap.memory.spare(), 0);
}

#[test]
fn a_heap_of_which_little_stays_alive_stays_small() {
    let mut heap = Heap::new(false, MAX_HEAP);
    let mut most = 0;
    for _ in 0..10 * STRINGS {
        heap.float(1.5);
        most = most.max(heap.blocks.len());
        if heap.collection_is_due() {
            heap.collect(false, |_| {});
        }
    }
    let allowed = LEAST / BLOCK_BYTES + 2;
    assert!(most <= allowed, "{most} blocks, and not {allowed}");
}

#[test]
fn the_first_collection_is_given_up_where_much_is_alive() {
    let mut heap = Heap::new(false, MAX_HEAP);
    let texts: Vec<Value> = (0..2 * FEW).map(|i| string(&mut heap, &format!("{i}"))).collect();
    let root = heap.list(&texts);
    let mut lost = heap.list(&[root]);
    let before = heap.blocks.len();
    heap.collect(true, |marker| lost = marker.value(lost));
    assert_eq!((heap.blocks.len(), heap.threshold), (before, FIRST_OF_MANY));
    // Nothing is marked any more: the next one frees what the first would have kept.
    heap.collect(true, |marker| {
        marker.value(root);
    });
    assert!(heap.list(&[root]) == lost, "its cell is free");
    for (i, text) in root.as_list().expect("a list").iter().enumerate() {
        assert_eq!(text.as_bytes(), Some(format!("{i}").as_bytes()));
    }
}

#[test]
fn what_a_collection_that_was_given_up_found_alive_may_die_whole_blocks_at_a_time() {
    let mut heap = Heap::new(false, MAX_HEAP);
    let texts: Vec<Value> = (0..2 * FEW).map(|i| string(&mut heap, &format!("{i}"))).collect();
    let root = heap.list(&texts);
    heap.collect(true, |marker| {
        marker.value(root);
    });
    heap.collect(true, |_| {});
    // The same memory, given to cells of two sizes in turn.
    let short: Vec<Value> = (0..2 * FEW).map(|i| string(&mut heap, &format!("{i}"))).collect();
    let long = |i: usize| format!("{i} and something longer");
    let others: Vec<Value> = (0..2 * FEW).map(|i| string(&mut heap, &long(i))).collect();
    for i in 0..2 * FEW {
        assert_eq!(short[i].as_bytes(), Some(format!("{i}").as_bytes()));
        assert_eq!(others[i].as_bytes(), Some(long(i).as_bytes()));
    }
}

#[test]
fn the_more_is_alive_the_rarer_are_collections() {
    assert_eq!(bytes_until_collection(0, ENOUGH), LEAST);
    assert_eq!(bytes_until_collection(ENOUGH / 4, ENOUGH), ENOUGH);
    let alive = 10 * ENOUGH;
    assert_eq!(bytes_until_collection(alive, alive), alive, "nothing was freed");
    assert_eq!(bytes_until_collection(alive, 10 * alive), alive + MOST_BEYOND_ALIVE);
    let alive = MOST_BEYOND_ALIVE / 4;
    assert_eq!(bytes_until_collection(alive, 10 * alive), MOST_TIMES_ALIVE * alive);
}

#[test]
fn a_heap_of_which_two_thirds_die_stays_below_two_thirds_of_what_was_allocated() {
    let (mut alive, mut allocated) = (3 * MOST_BEYOND_ALIVE / 4, 15 * MOST_BEYOND_ALIVE / 8);
    for _ in 0..8 {
        let more = bytes_until_collection(alive, allocated);
        allocated += more;
        assert!(3 * (alive + more) <= 2 * allocated, "{alive} and {more} of {allocated}");
        alive += more / 3;
    }
}

#[test]
fn freed_cells_are_used_again() {
    let mut heap = Heap::new(false, MAX_HEAP);
    for round in 0..10 {
        for _ in 0..BLOCK_BYTES / 32 {
            heap.float(1.5);
        }
        assert_eq!(heap.memory.spare(), 0, "used before new blocks, in round {round}");
        heap.collect(false, |_| {});
    }
    assert!(heap.blocks.len() <= 4, "{} blocks", heap.blocks.len());
}

#[test]
fn large_objects_are_given_back() {
    let mut heap = Heap::new(false, MAX_HEAP);
    let root = heap.list(&vec![Value::NULL; 10_000]);
    heap.collect(false, |marker| {
        marker.value(root);
    });
    assert_eq!(root.as_list().map(<[Value]>::len), Some(10_000));
    heap.collect(false, |_| {});
    assert!(heap.large.is_empty());
}

#[test]
fn a_forced_thunk_gives_way_to_its_value() {
    let mut heap = Heap::new(false, MAX_HEAP);
    let thunk = heap.blank(Mould::code(Kind::Thunk, 0, 2));
    let list = heap.list(&[Value::thunk(thunk)]);
    thunk.resolve(Value::TRUE);
    heap.collect(false, |marker| {
        marker.value(list);
    });
    assert_eq!(list.as_list(), Some(&[Value::TRUE][..]));
}

#[test]
fn what_native_code_may_go_through_stays_as_it_saw_it() {
    let mut heap = Heap::new(false, MAX_HEAP);
    let thunk = heap.blank(Mould::code(Kind::Thunk, 0, 1));
    let value = Value::thunk(thunk);
    let list = heap.list(&[value]);
    let attrs = heap.attrs(vec![(Symbol(1), Pos::NONE, value)]);
    let partial = heap.partial(Value::builtin(0), &[value]);
    let closure = heap.blank(Mould::code(Kind::Closure, 0, 1));
    closure.capture(0, value);
    thunk.resolve(Value::TRUE);
    let mut collect = |natives_run| {
        heap.collect(natives_run, |marker| {
            for root in [list, attrs, partial, Value::object(closure)] {
                marker.value(root);
            }
        });
        let first = |value: Value, word| value.as_object().expect("an object").value(word);
        [first(list, 0), first(attrs, 1), first(partial, 1), closure.value(0)]
    };
    assert_eq!(collect(true), [value, value, value, Value::TRUE]);
    assert_eq!(thunk.result(), Some(Value::TRUE));
    assert_eq!(collect(false), [Value::TRUE; 4]);
}

#[test]
fn layered_updates_mean_what_flat_ones_do() {
    let mut heap = Heap::new(false, MAX_HEAP);
    let mut layered = set(&mut heap, 0..200, 0);
    let mut expected: std::collections::BTreeMap<u32, i64> = (0..200).map(|i| (i, 0)).collect();
    // Names spread over old and new ones, in no order.
    for step in 0..500u32 {
        let name = step * 7919 % 400;
        let one = set(&mut heap, [name], i64::from(step));
        layered = heap.update(layered, one).as_attrs().expect("a set");
        expected.insert(name, i64::from(step));
        assert_eq!(layered.len(), expected.len());
        assert_eq!(layered.get(Symbol(name)).and_then(Value::as_int), Some(i64::from(step)));
    }
    let keep = |heap: &mut Heap| {
        heap.collect(true, |marker| {
            marker.value(layered.value());
        });
    };
    keep(&mut heap);
    let flat = heap.flat(layered);
    keep(&mut heap);
    let found: Vec<_> = flat.iter().map(|(name, _, v)| (name.0, v.as_int())).collect();
    let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name, Some(value))).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_slice_shares_its_list() {
    let mut heap = Heap::new(false, MAX_HEAP);
    let items: Vec<Value> = (0..100).filter_map(Value::small_int).collect();
    let list = heap.list(&items);
    let tail = heap.slice(list, 1, 99);
    let inner = heap.slice(tail, 1, 90);
    assert_eq!(inner.as_list(), Some(&items[2..92]));
    assert_eq!(heap.slice(list, 100, 5).as_list(), Some(&[][..]));
    heap.collect(false, |marker| {
        marker.value(inner);
    });
    assert_eq!(inner.as_list(), Some(&items[2..92]));
}

#[test]
fn a_string_remembers_its_symbol_where_there_is_room() {
    let mut heap = Heap::new(false, MAX_HEAP);
    for context in [ContextId::EMPTY, ContextId::from_number(7)] {
        let value = heap.string(b"name", context);
        let string = value.as_object().expect("an object");
        assert_eq!(string.symbol(), None);
        string.set_symbol(Symbol(0x7FFF));
        assert_eq!(string.symbol(), None, "one more would be the context's bit");
        for symbol in [Symbol(0), Symbol(0x7FFE)] {
            string.set_symbol(symbol);
            assert_eq!(string.symbol(), Some(symbol));
        }
        assert_eq!(string.has_context(), !context.is_empty());
        assert_eq!(value.as_bytes(), Some(&b"name"[..]));
    }
}

#[test]
fn strings_of_any_length_compare_by_their_bytes() {
    let mut heap = Heap::new(false, MAX_HEAP);
    // What lay in the cells before does not count.
    for _ in 0..2 {
        for length in (0..=40).chain([1000]) {
            let text = "x".repeat(length);
            let object = |value: Value| value.as_object().expect("an object");
            let a = object(string(&mut heap, &text));
            let b = object(heap.string(text.as_bytes(), ContextId::from_number(7)));
            let longer = object(string(&mut heap, &format!("{text}y")));
            assert!(a.has_bytes_of(b) && b.has_bytes_of(a), "of {length}");
            assert!(!a.has_bytes_of(longer), "of {length}");
            for at in 0..length {
                let mut other = text.clone().into_bytes();
                other[at] = b'z';
                let other = object(heap.string(&other, ContextId::EMPTY));
                assert!(!a.has_bytes_of(other) && !b.has_bytes_of(other), "of {length} at {at}");
            }
        }
        heap.collect(false, |_| {});
    }
}

#[test]
fn spans_that_are_free_join_and_go_back() {
    let mut spans = Spans::default();
    let [first, second, third] = [20_000, 100_000, 16_384].map(|bytes| {
        let (start, given) = spans.take(bytes);
        assert!(given >= bytes && start.addr() + given <= HIGHEST);
        // SAFETY: as many bytes as were given.
        unsafe { start.write_bytes(1, given / 8) };
        (start, given)
    });
    spans.put_back(second.0, second.1);
    let (again, given) = spans.take(50_000);
    assert_eq!(again, second.0, "the smallest that is large enough");
    spans.put_back(again, given);
    spans.put_back(first.0, first.1);
    let (joined, given) = spans.take(first.1 + second.1);
    assert_eq!((joined, given), (first.0, first.1 + second.1));
    spans.put_back(joined, given);
    spans.put_back(third.0, third.1);
    spans.give_back(usize::MAX);
    assert_eq!(spans.regions(), 1);
    spans.give_back(0);
    assert_eq!(spans.regions(), 0);
    let (large, given) = spans.take(10_000_000);
    assert!(given >= 10_000_000);
    // SAFETY: as many bytes as were given.
    unsafe { assert_eq!(large.add(given / 8 - 1).read(), 0) };
}

#[test]
fn a_heap_is_full_when_little_of_its_room_is_left() {
    let mut heap = Heap::new(false, 8 * BLOCK_BYTES);
    assert!(!heap.is_full() && heap.has_room_for(BLOCK_BYTES));
    assert!(!heap.has_room_for(8 * BLOCK_BYTES));
    let list = heap.list(&vec![Value::NULL; 8 * BLOCK_BYTES / 4]);
    assert!(heap.is_full());
    heap.collect(false, |marker| {
        marker.value(list);
    });
    assert!(heap.is_full());
    heap.collect(false, |_| {});
    assert!(!heap.is_full());
}

#[test]
fn sets_of_the_same_two_shapes_share_the_one_that_they_give() {
    let mut heap = Heap::new(false, MAX_HEAP);
    let written = set(&mut heap, [3, 5], 1);
    let mapped = heap.attrs_like(written, |_, _, _| Value::NULL).as_attrs().expect("a set");
    let newer = set(&mut heap, [4, 5], 2);
    let merged = |heap: &mut Heap, older| heap.update(older, newer).as_attrs().expect("a set");
    let (first, others) = (merged(&mut heap, written), merged(&mut heap, mapped));
    let again = merged(&mut heap, written);
    assert!(again.shape() == first.shape());
    // Of what was mapped, positions do not count: that is another shape.
    assert!(others.shape() != first.shape());
    let found = |set: Attrs| set.iter().map(|(name, pos, _)| (name.0, pos)).collect::<Vec<_>>();
    assert_eq!(found(again), [(3, Pos(3)), (4, Pos(4)), (5, Pos(5))]);
    assert_eq!(found(others), [(3, Pos::NONE), (4, Pos(4)), (5, Pos(5))]);
    assert_eq!(others.get(Symbol(3)), Some(Value::NULL));
}

#[test]
fn a_collection_forgets_what_shapes_give() {
    let mut heap = Heap::new(false, MAX_HEAP);
    heap.insist();
    let (older, newer) = (set(&mut heap, [3], 1), set(&mut heap, [4], 2));
    heap.update(older, newer);
    heap.collect(false, |marker| {
        marker.value(older.value());
        marker.value(newer.value());
    });
    // What was free is other sets' now.
    for name in 10..100 {
        set(&mut heap, [name, name + 1], 3);
    }
    let merged = heap.update(older, newer).as_attrs().expect("a set");
    assert_eq!(merged.names(), [3, 4]);
}
