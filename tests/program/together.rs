//! Many `hb` at once on one store: builds of graphs that overlap, and gc beside them again
//! and again. For longer than a few seconds:
//!
//! `HB_TEST_ROUNDS=200 cargo test --test program together`

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    process::{Child, Output},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::support::{Project, explain, start};

/// How many build at once, and how many collect garbage beside them.
const BUILDERS: usize = 4;
const COLLECTORS: usize = 2;

/// The graph: every node of a layer rests on three of the layer below.
const LAYERS: usize = 5;
const WIDTH: usize = 6;

/// The nodes of the lower layers are the same in each round: what gc is taking away is
/// wanted again.
const LASTING_LAYERS: usize = 2;

/// The name of a node.
fn node(round: usize, layer: usize, number: usize) -> String {
    match layer < LASTING_LAYERS {
        true => format!("n-{layer}-{number}"),
        false => format!("n-{layer}-{number}-{round}"),
    }
}

/// What one of the builders builds: three nodes of the highest layer, and something of its
/// own, with a source that nobody else has and a tool that nothing refers to afterwards.
fn recipe(round: usize, builder: usize) -> String {
    let mut text = "rec {\n".to_owned();
    for layer in 0..LAYERS {
        for number in 0..WIDTH {
            let name = node(round, layer, number);
            let below = [number, number + 1, number * 3 + layer].map(|it| it % WIDTH);
            let below = below.map(|it| format!("${{{}}}", node(round, layer.max(1) - 1, it)));
            let below = if layer == 0 { String::new() } else { below.join(" ") };
            let _ = writeln!(
                text,
                r#"{name} = run "{name}" "for it in {below}; do test -s $it; done; echo {name} {below} > $out";"#
            );
        }
    }
    let own = format!("{builder}-{round}");
    let _ = write!(
        text,
        r#"tool-{own} = run "tool-{own}" "echo {own} > $out";
           own-{own} = run "own-{own}" "cat ${{tool-{own}}} ${{./own-{builder}}} > $out";
           default = [ {} own-{own} ];
         }}"#,
        (0..3).map(|it| node(round, LAYERS - 1, (builder + it) % WIDTH) + " ").collect::<String>()
    );
    text
}

/// The builders of a round, each with a recipe of its own.
fn start_builders(project: &Project, round: usize) -> Vec<Child> {
    let builder = |number| {
        project.write(&format!("own-{number}"), format!("source {number} of round {round}\n"));
        project.recipe(&recipe(round, number));
        let (file, link) = (format!("recipe-{number}.hb"), format!("result-{number}"));
        fs::rename(project.path().join("recipe.hb"), project.path().join(&file)).unwrap();
        start(&mut project.hb(["build", &file, "-o", &link]))
    };
    (0..BUILDERS).map(builder).collect()
}

/// What a builder said that it did.
struct Said {
    process: u32,
    output: Output,
}

impl Said {
    fn lines(&self) -> impl Iterator<Item = &str> {
        std::str::from_utf8(&self.output.stderr).unwrap().lines()
    }

    /// The names in lines that begin so and go on so.
    fn names(&self, start: &str, end: &str) -> impl Iterator<Item = &str> {
        self.lines().filter_map(move |line| Some(line.strip_prefix(start)?.split_once(end)?.0))
    }
}

/// Each builder of the round made all that it was to make, and nobody what another had made;
/// whoever waited knew for whom. Returns how often one did.
fn check(project: &Project, round: usize, all: &[Said]) -> usize {
    let mut makers: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut waits = 0;
    for (number, said) in all.iter().enumerate() {
        assert!(said.output.status.success(), "{}", explain(&said.output));
        for name in said.names("built ", " in ") {
            makers.entry(name).or_default().push(said.process);
        }
        for who in said.names("waiting for another hb", ", which builds ") {
            let is_builder = |it: &Said| who == format!(" (process {})", it.process);
            let named = all.iter().find(|it| is_builder(it));
            // Between getting the right and writing its number nobody knows it.
            assert!(who.is_empty() || named.is_some(), "{who}\n{}", explain(&said.output));
            assert!(named.is_none_or(|it| it.process != said.process), "it waits for itself");
            waits += 1;
        }
        let paths = std::str::from_utf8(&said.output.stdout).unwrap().lines();
        let texts: Vec<_> = paths.map(|path| fs::read_to_string(path).unwrap()).collect();
        let own = format!("{number}-{round}\nsource {number} of round {round}\n");
        assert_eq!(texts.last(), Some(&own), "{}", explain(&said.output));
        assert_eq!(texts.len(), 4);
    }
    for (name, makers) in &makers {
        assert_eq!(makers.len(), 1, "{name} was built by each of {makers:?}");
    }
    // What was not there in any earlier round was built now.
    for layer in LASTING_LAYERS..LAYERS - 1 {
        for name in (0..WIDTH).map(|number| node(round, layer, number)) {
            assert!(makers.contains_key(&*name), "{name} was not built");
        }
    }
    project.succeeds(["store", "verify", "--contents", "--quiet"]);
    waits
}

/// Builds in rounds; in every third one builder is killed on its way.
fn rounds(project: &Project, count: usize) -> usize {
    let mut waits = 0;
    for round in 0..count {
        // Nothing of the last round is needed any more.
        for entry in fs::read_dir(project.path()).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("result-") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        let mut builders = start_builders(project, round);
        if round % 3 == 2 {
            let mut victim = builders.remove(round % BUILDERS);
            thread::sleep(Duration::from_millis(round as u64 * 37 % 700));
            victim.kill().unwrap();
            victim.wait().unwrap();
            for builder in builders {
                let output = builder.wait_with_output().unwrap();
                assert!(output.status.success(), "{}", explain(&output));
            }
            project.succeeds(["store", "verify", "--contents", "--quiet"]);
            continue;
        }
        let wait = |builder: Child| Said {
            process: builder.id(),
            output: builder.wait_with_output().unwrap(),
        };
        let all: Vec<_> = thread::scope(|scope| {
            let waiting: Vec<_> =
                builders.into_iter().map(|builder| scope.spawn(|| wait(builder))).collect();
            waiting.into_iter().map(|it| it.join().unwrap()).collect()
        });
        waits += check(project, round, &all);
    }
    waits
}

/// Collects until it is told to stop; how much went.
fn collect(project: &Project, stop: &AtomicBool, options: &[&str]) -> usize {
    let mut gone = 0;
    while !stop.load(Ordering::Relaxed) {
        let output = project.hb(["store", "gc", "--json"]).args(options).output().unwrap();
        assert!(output.status.success(), "{}", explain(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        gone += report["freed"].as_array().unwrap().len();
    }
    gone
}

/// Stops the collectors, also if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn many_build_each_derivation_once_while_gc_takes_what_nobody_needs() {
    let count = std::env::var("HB_TEST_ROUNDS").map_or(3, |count| count.parse().unwrap());
    let project = Project::new();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let options: [&[&str]; COLLECTORS] = [&[], &["--drop-derivations"]];
        let collectors = options.map(|options| scope.spawn(|| collect(&project, &stop, options)));
        let waits = {
            let _stop = Stop(&stop);
            rounds(&project, count)
        };
        assert!(waits > 0, "nobody was in the way of another");
        let gone: usize = collectors.into_iter().map(|it| it.join().unwrap()).sum();
        assert!(gone > 0, "there was nothing to collect");
    });
    project.succeeds(["store", "verify", "--contents"]);
}
