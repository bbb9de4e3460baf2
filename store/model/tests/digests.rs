//! Literal digests: if one of these changes, every store in the world is another.

use std::collections::{BTreeMap, BTreeSet};

use hb_model::{
    Algorithm, ContentDigest, Derivation, DirectoryHasher, FileContent, FixedMethod, FixedOutput,
    Hasher, Input, Limits, NodeDigest, OutputName, Outputs, StoreName, StorePath,
    output_placeholder, own_output_placeholder,
};

fn name(text: &str) -> StoreName {
    StoreName::new(text).unwrap()
}

fn source() -> StorePath {
    let node = NodeDigest::of_file(false, &ContentDigest::of(b"hello\n"));
    StorePath::of_content(name("source"), node, &BTreeSet::new(), false)
}

fn fetch() -> Derivation {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(b"hello\n");
    Derivation {
        name: name("hello.txt"),
        system: "builtin".into(),
        root: None,
        builder: "builtin:fetch-1".into(),
        args: vec![],
        env: BTreeMap::new(),
        files: BTreeMap::new(),
        attrs: Some(r#"{"origins":[{"url":"https://example.org/hello.txt"}]}"#.into()),
        closure_info: BTreeMap::new(),
        runtime_root: None,
        inputs: Default::default(),
        outputs: Outputs::Fixed(FixedOutput { method: FixedMethod::Flat, hash: hasher.finish() }),
        limits: Limits::default(),
    }
}

fn step(name_text: &str, input: &Derivation) -> Derivation {
    let out = OutputName::out();
    Derivation {
        name: name(name_text),
        system: "x86_64-linux".into(),
        builder: "/bin/sh".into(),
        args: vec!["-c".into(), format!("cp {} $out", input.output_text(&input.id(), &out))],
        env: BTreeMap::from([("SELF".into(), own_output_placeholder(&out))]),
        files: BTreeMap::from([("note".into(), FileContent::Text("a\n".into()))]),
        attrs: None,
        inputs: vec![
            Input::Path(source()),
            Input::Output { derivation: input.id(), output: out.clone() },
        ]
        .into(),
        outputs: Outputs::Floating(vec![out, OutputName::new("doc").unwrap()].into()),
        ..fetch()
    }
}

#[test]
fn nodes_hash_as_specified() {
    let file = NodeDigest::of_file(false, &ContentDigest::of(b"hello\n"));
    let program = NodeDigest::of_file(true, &ContentDigest::of(b"hello\n"));
    let link = NodeDigest::of_symlink(b"hello");
    let mut folder = DirectoryHasher::new();
    folder.entry(b"a", &file);
    folder.entry(b"b", &link);
    insta::assert_snapshot!(
        [file, program, link, DirectoryHasher::new().finish(), folder.finish()]
            .map(|digest| digest.to_string())
            .join("\n"),
        @r#"
    cad73d3755033b5503ed0c6f400c95e47d3aa86a353bbcaf66518ef5e33550a1
    cdced139a7900cc878f4d0f693463761aa8903235c0a3273e9443af34c9bcc8c
    47b442ffe5989a497905010097d58ea7d6dcfb792dd460a9d72e9afd871ca897
    54148b2df0518ac160bfb56fd5ee6022ab4828c82918e1a897f11bc0cd521688
    ae4820fe25a02d4033f88355ac9ec86a8bc7a28ab8d53cc2acf7e10de8f550d1
    "#
    );
}

#[test]
fn paths_follow_from_content() {
    let node = NodeDigest::of_symlink(b"x");
    let references = BTreeSet::from([source()]);
    let fixed = fetch().fixed_path().unwrap();
    let selfish = StorePath::of_content(name("a"), node, &references, true);
    insta::assert_snapshot!(format!("{}\n{selfish}\n{fixed}", source()), @r#"
    /hb/store/9snr22shvm7vsllbk3q8zriqzzwnf42d-source
    /hb/store/by5l5rsd8mfrq94vzsyb48rl321aa4f4-a
    /hb/store/q77q5f4nragndx673gwqmb7z419nj5d5-hello.txt
    "#);
}

#[test]
fn derivations_encode_as_specified() {
    let derivation = step("step", &fetch());
    insta::assert_snapshot!(String::from_utf8(derivation.encode()).unwrap(), @r#"
    15:hb-derivation-1,4:step,12:x86_64-linux,0:,7:/bin/sh,69:2:-c,60:cp /hb/store/q77q5f4nragndx673gwqmb7z419nj5d5-hello.txt $out,,64:4:SELF,53:/0i8vs3j31ms1yb1yhvss534vdhv6wzzxlghsdwkdwk1sglswgl3n,,19:4:note,4:text,2:a
    ,,0:,0:,0:,120:39:9snr22shvm7vsllbk3q8zriqzzwnf42d-source,0:,64:68d2703ada4406eb6d7cec4e4a5bdfe27a71766d035569037b5f61138d020f92,3:out,,23:8:floating,3:doc,3:out,,1:0,1:0,
    "#);
    insta::assert_snapshot!(derivation.id().to_string(), @"a69a30766844639472d6d8a9f8e99780714994966cfcde34e00952842955fa0a");
    assert_eq!(Derivation::decode(&derivation.encode()), Ok(derivation.clone()));
    let references = [source(), fetch().store_path(&fetch().id(), &[].into()).unwrap()].into();
    insta::assert_snapshot!(derivation.store_path(&derivation.id(), &references).unwrap().to_string(), @"/hb/store/4z3srcql8ymg5gi233jr16x2mahgxm3n-step.drv");
}

#[test]
fn placeholders_hash_as_specified() {
    let out = OutputName::out();
    let placeholders =
        [output_placeholder(&step("step", &fetch()).id(), &out), own_output_placeholder(&out)];
    insta::assert_snapshot!(placeholders.join("\n"), @r#"
    /1k342bcibq3ayj2f3ynkhp4x14bk821sn9ladwrbpxsangp57psa
    /0i8vs3j31ms1yb1yhvss534vdhv6wzzxlghsdwkdwk1sglswgl3n
    "#);
}

#[test]
fn resolving_puts_paths_in_and_forgets_how_they_came_about() {
    let first = step("first", &fetch());
    let mut mirrored = fetch();
    mirrored.attrs = Some(r#"{"origins":[]}"#.into());
    let via_mirror = step("first", &mirrored);
    assert_ne!(first.id(), via_mirror.id());

    let resolve =
        |derivation: &Derivation| derivation.resolve(|_, _| fetch().fixed_path()).unwrap();
    assert_eq!(resolve(&first).id(), resolve(&via_mirror).id());
    insta::assert_snapshot!(resolve(&first).id().to_string(), @"00f886bece73449a6ce0ed2fbf0ec0a338c1ec71f22acb027beaa3bb1436fc7d");

    let second = step("second", &first);
    let resolved = second.resolve(|_, _| Some(source())).unwrap();
    assert_eq!(resolved.derivation().args[1], format!("cp {} $out", source()));
    assert_eq!(resolved.derivation().inputs[..], [Input::Path(source())], "two inputs, one path");

    let scratch = resolved.scratch_paths(0).unwrap();
    let own = resolved.with_scratch(&scratch);
    assert_eq!(own.env["SELF"], scratch[&OutputName::out()].to_string());
    assert_eq!(scratch[&OutputName::out()].name().as_str(), "second");
    assert_ne!(scratch, resolved.scratch_paths(1).unwrap());
}

#[test]
fn limits_do_not_change_what_is_built() {
    let plain = step("a", &fetch());
    let resolve =
        |derivation: &Derivation| derivation.resolve(|_, _| fetch().fixed_path()).unwrap();
    let times = Limits { timeout: 60, silence: 5, ..Limits::default() };
    let all = Limits { memory: 1 << 30, processes: 99, disk: 1 << 40, ..times };
    for (limits, format) in [(times, "hb-derivation-1"), (all, "hb-derivation-2")] {
        let bounded = Derivation { limits, ..plain.clone() };
        assert_ne!(plain.id(), bounded.id());
        assert_eq!(resolve(&plain).id(), resolve(&bounded).id());
        let encoded = bounded.encode();
        assert!(String::from_utf8_lossy(&encoded[..24]).contains(format));
        assert_eq!(Derivation::decode(&encoded), Ok(bounded));
    }
}

/// Found by fuzzing: numbers have other forms that mean the same.
#[test]
fn numbers_are_read_in_one_form() {
    let limits = Limits { timeout: 60, silence: 12, ..Limits::default() };
    let bounded = Derivation { limits, ..step("a", &fetch()) };
    let encoded = bounded.encode();
    for (same, differs) in [("2:12,", "3:012,"), ("2:12,", "3:+12,")] {
        let head = encoded.strip_suffix(same.as_bytes()).unwrap();
        let other = [head, differs.as_bytes()].concat();
        assert!(Derivation::decode(&other).is_err(), "{differs}");
    }
}

#[test]
fn limits_have_one_encoding() {
    let bounded =
        Derivation { limits: Limits { processes: 7, ..Limits::default() }, ..step("a", &fetch()) };
    let mut encoded = bounded.encode();
    let processes = encoded.iter().rposition(|&byte| byte == b'7').unwrap();
    // Without a limit that needs it, the second format is not read.
    encoded[processes] = b'0';
    assert!(Derivation::decode(&encoded).is_err());
    encoded[processes] = b'8';
    assert!(Derivation::decode(&encoded).is_ok());
}

#[test]
fn of_two_limits_the_tighter_counts() {
    let a = Limits { timeout: 60, memory: 5, ..Limits::default() };
    let b = Limits { timeout: 70, memory: 4, disk: 3, ..Limits::default() };
    let both = Limits { timeout: 60, memory: 4, disk: 3, ..Limits::default() };
    assert_eq!((a.and(b), b.and(a)), (both, both));
}

#[test]
fn an_unbuilt_input_is_named() {
    let first = step("first", &fetch());
    let second = step("second", &first);
    let error = second.resolve(|_, _| None).unwrap_err();
    assert_eq!(error.derivation, first.id());
}

#[test]
fn only_canonical_encodings_are_read() {
    let encoded = step("step", &fetch()).encode();
    for cut in 0..encoded.len() {
        assert!(Derivation::decode(&encoded[..cut]).is_err(), "cut at {cut}");
    }
    let mut longer = encoded.clone();
    longer.extend_from_slice(b"0:,");
    assert!(Derivation::decode(&longer).is_err());
    let padded = [b"0", encoded.as_slice()].concat();
    assert!(Derivation::decode(&padded).is_err());
}
