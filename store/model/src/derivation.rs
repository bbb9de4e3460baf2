//! A derivation: one build step as data, and its canonical encoding.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use crate::{
    DeclaredHash, DerivationId, FixedMethod, OutputName, SortedSet, StoreName, StorePath,
    encode::{DecodeError, Decoder, Encoder},
    name::NameError,
    output_placeholder,
};

/// What the builders that hb itself carries out begin with. Their parameters are the
/// derivation's `attrs`.
pub const BUILTIN_PREFIX: &str = "builtin:";

/// The tag of an encoding.
const FORMAT: &str = "hb-derivation-1";
/// The tag of one that has more limits; where they are absent it is not used.
const SECOND_FORMAT: &str = "hb-derivation-2";

/// What the builders begin with that bring something from outside.
const FETCH_PREFIX: &str = "builtin:fetch-";

/// A build step. Its texts may hold placeholders of other derivations' outputs, each
/// of which is then among the inputs, and of its own outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation {
    /// What it is called; its outputs' store paths carry the name.
    pub name: StoreName,
    /// Where it runs, such as `x86_64-linux`.
    pub system: String,
    /// The tree that the build sees as `/`; without one the builder must be static.
    pub root: Option<String>,
    /// An absolute path in the root or the store, or `builtin:<what>-<version>`.
    pub builder: String,
    /// The builder's arguments, its own name not among them.
    pub args: Vec<String>,
    /// The environment; besides it only the fixed variables and the outputs are set.
    pub env: BTreeMap<String, String>,
    /// Files laid into the build folder, by name.
    pub files: BTreeMap<String, FileContent>,
    /// JSON text laid into the build folder as `attrs.json`.
    pub attrs: Option<String>,
    /// Files laid into the build folder, by name, that list the closures of some paths.
    pub closure_info: BTreeMap<String, BTreeSet<String>>,
    /// The root that a dynamic program among the outputs needs to run.
    pub runtime_root: Option<String>,
    /// Everything that the texts above refer to.
    pub inputs: SortedSet<Input>,
    /// What it makes.
    pub outputs: Outputs,
    /// Bounds on the build. Not part of what is built: see [`crate::Resolved`].
    pub limits: Limits,
}

/// A file for the build folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// This text.
    Text(String),
    /// A copy of the file at this store path (or placeholder).
    Path(String),
}

/// Something that a derivation needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// A store object that is there already, such as a source.
    Path(StorePath),
    /// An output of another derivation.
    Output {
        /// Which derivation.
        derivation: DerivationId,
        /// Which of its outputs.
        output: OutputName,
    },
}

/// What a derivation makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// Paths that follow from what the build yields. Never empty.
    Floating(SortedSet<OutputName>),
    /// One output, `out`, whose hash is known beforehand.
    Fixed(FixedOutput),
}

impl Outputs {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = OutputName> + '_ {
        let (floating, fixed) = match self {
            Self::Floating(names) => (Some(names), None),
            Self::Fixed(_) => (None, Some(OutputName::out())),
        };
        floating.into_iter().flatten().cloned().chain(fixed)
    }
}

/// A declared hash and how it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedOutput {
    /// Of one file's bytes, or of a tree.
    pub method: FixedMethod,
    /// What it must be.
    pub hash: DeclaredHash,
}

impl fmt::Display for FixedOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.hash)
    }
}

impl FromStr for FixedOutput {
    type Err = ();

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (method, hash) = text.split_once(' ').ok_or(())?;
        let fixed =
            Self { method: method.parse().map_err(|_| ())?, hash: hash.parse().map_err(|_| ())? };
        if fixed.to_string() == text { Ok(fixed) } else { Err(()) }
    }
}

/// Bounds on a build; zero means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Seconds that the build may take.
    pub timeout: u64,
    /// Seconds that it may stay silent.
    pub silence: u64,
    /// Bytes of memory that its processes may use together.
    pub memory: u64,
    /// Processes and threads that there may be at once.
    pub processes: u64,
    /// Bytes that its files may take, those of the build folder and of the outputs.
    pub disk: u64,
}

impl Limits {
    /// Of each bound the tighter.
    pub fn and(self, other: Self) -> Self {
        let tighter = |a: u64, b: u64| if a == 0 || (b != 0 && b < a) { b } else { a };
        Self {
            timeout: tighter(self.timeout, other.timeout),
            silence: tighter(self.silence, other.silence),
            memory: tighter(self.memory, other.memory),
            processes: tighter(self.processes, other.processes),
            disk: tighter(self.disk, other.disk),
        }
    }

    /// Whether it bounds more than the first encoding can say.
    fn needs_second_encoding(&self) -> bool {
        self.memory != 0 || self.processes != 0 || self.disk != 0
    }
}

impl Derivation {
    /// Whether hb carries it out itself.
    pub fn is_builtin(&self) -> bool {
        self.builder.starts_with(BUILTIN_PREFIX)
    }

    /// Whether it brings something from outside instead of building it.
    pub fn is_fetch(&self) -> bool {
        self.builder.starts_with(FETCH_PREFIX)
    }

    /// The identity as evaluated.
    pub fn id(&self) -> DerivationId {
        DerivationId::from_bytes(*blake3::hash(&self.encode()).as_bytes())
    }

    /// The store objects among the inputs that no derivation makes, such as sources.
    pub fn sources(&self) -> impl Iterator<Item = &StorePath> {
        self.inputs.iter().filter_map(|input| match input {
            Input::Path(path) => Some(path),
            Input::Output { .. } => None,
        })
    }

    /// The names of the outputs.
    pub fn output_names(&self) -> impl Iterator<Item = OutputName> + '_ {
        self.outputs.names()
    }

    /// The output's path, where it is known before building.
    pub fn fixed_path(&self) -> Option<StorePath> {
        match &self.outputs {
            Outputs::Fixed(fixed) => {
                Some(StorePath::of_fixed(self.name.clone(), fixed.method, &fixed.hash))
            }
            Outputs::Floating(_) => None,
        }
    }

    /// What stands for an output in texts: its path where that is known, else a
    /// placeholder. `id` is this derivation's.
    pub fn output_text(&self, id: &DerivationId, output: &OutputName) -> String {
        match self.fixed_path() {
            Some(path) => path.to_string(),
            None => output_placeholder(id, output),
        }
    }

    /// The store object that holds the encoding: a file called `<name>.drv`. `id` is this
    /// derivation's; `references` are the paths of the inputs' own derivations and sources.
    pub fn store_path(
        &self,
        id: &DerivationId,
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, NameError> {
        let name = StoreName::new(&[self.name.as_str(), ".drv"].concat())?;
        Ok(StorePath::of_content(name, id.object_digest(), references, false))
    }

    /// The canonical encoding; `docs/store-format.md` specifies it.
    pub fn encode(&self) -> Vec<u8> {
        let Limits { timeout, silence, memory, processes, disk } = self.limits;
        let second = self.limits.needs_second_encoding();
        let mut encoder = Encoder::new(if second { SECOND_FORMAT } else { FORMAT });
        self.encode_what_is_built(&self.inputs, Cow::Borrowed, &mut encoder);
        encoder.number(timeout);
        encoder.number(silence);
        if second {
            [memory, processes, disk].into_iter().for_each(|bound| encoder.number(bound));
        }
        encoder.finish()
    }

    /// Everything but the limits, with other inputs, and each text that may hold
    /// placeholders as `map` gives it.
    pub(crate) fn encode_what_is_built<'a>(
        &'a self,
        inputs: &SortedSet<Input>,
        map: impl Fn(&'a str) -> Cow<'a, str>,
        encoder: &mut Encoder,
    ) {
        encoder.field(self.name.as_str());
        encoder.field(&self.system);
        encoder.option(self.root.as_deref().map(&map).as_deref());
        encoder.field(map(&self.builder).as_bytes());
        encoder.list(|list| self.args.iter().for_each(|arg| list.field(map(arg).as_bytes())));
        encoder.list(|list| {
            for (name, value) in &self.env {
                list.field(name);
                list.field(map(value).as_bytes());
            }
        });
        encoder.list(|list| {
            for (name, content) in &self.files {
                let (kind, text) = match content {
                    FileContent::Text(text) => ("text", text),
                    FileContent::Path(path) => ("path", path),
                };
                list.field(name);
                list.field(kind);
                list.field(map(text).as_bytes());
            }
        });
        encoder.option(self.attrs.as_deref().map(&map).as_deref());
        encoder.list(|list| {
            for (name, paths) in &self.closure_info {
                let paths: BTreeSet<_> = paths.iter().map(|path| map(path)).collect();
                list.field(name);
                list.list(|list| paths.iter().for_each(|path| list.field(path.as_bytes())));
            }
        });
        encoder.option(self.runtime_root.as_deref().map(&map).as_deref());
        encoder.list(|list| {
            for input in inputs {
                match input {
                    Input::Path(path) => {
                        path.encode_base_name(list);
                        list.field("");
                    }
                    Input::Output { derivation, output } => {
                        list.field(derivation.hex());
                        list.field(output.as_str());
                    }
                }
            }
        });
        encoder.list(|list| match &self.outputs {
            Outputs::Floating(names) => {
                list.field("floating");
                names.iter().for_each(|name| list.field(name.as_str()));
            }
            Outputs::Fixed(fixed) => {
                list.field("fixed");
                list.field(fixed.method.as_str());
                list.field(fixed.hash.to_string());
            }
        });
    }

    /// Read an encoding; refuses any text that [`Derivation::encode`] would not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let format = decoder.text("format")?;
        let meaningless = || DecodeError::Meaningless { field: "format", text: format.to_owned() };
        let second = match format {
            FORMAT => false,
            SECOND_FORMAT => true,
            _ => return Err(meaningless()),
        };
        let mut derivation = Self {
            name: decoder.parsed("name")?,
            system: decoder.text("system")?.to_owned(),
            root: decoder.option("root")?.map(str::to_owned),
            builder: decoder.text("builder")?.to_owned(),
            args: decoder.list(|list| list.text("args").map(str::to_owned))?,
            env: decoder
                .sorted(
                    "env",
                    |list| Ok((list.text("env")?.to_owned(), list.text("env")?.to_owned())),
                    |(name, _)| name.clone(),
                )?
                .into_iter()
                .collect(),
            files: decoder
                .sorted("files", decode_file, |(name, _)| name.clone())?
                .into_iter()
                .collect(),
            attrs: decoder.option("attrs")?.map(str::to_owned),
            closure_info: decoder
                .sorted("closureInfo", decode_closure_info, |(name, _)| name.clone())?
                .into_iter()
                .collect(),
            runtime_root: decoder.option("runtimeRoot")?.map(str::to_owned),
            inputs: decoder.sorted("inputs", decode_input, Clone::clone)?.into(),
            outputs: decode_outputs(&mut decoder)?,
            limits: Limits {
                timeout: decoder.parsed("timeout")?,
                silence: decoder.parsed("silence")?,
                ..Limits::default()
            },
        };
        if second {
            derivation.limits.memory = decoder.parsed("memory")?;
            derivation.limits.processes = decoder.parsed("processes")?;
            derivation.limits.disk = decoder.parsed("disk")?;
        }
        if second != derivation.limits.needs_second_encoding() {
            return Err(meaningless());
        }
        decoder.end()?;
        Ok(derivation)
    }
}

fn decode_file(list: &mut Decoder) -> Result<(String, FileContent), DecodeError> {
    let name = list.text("files")?.to_owned();
    let kind = list.text("files")?;
    let text = list.text("files")?.to_owned();
    match kind {
        "text" => Ok((name, FileContent::Text(text))),
        "path" => Ok((name, FileContent::Path(text))),
        other => Err(DecodeError::Meaningless { field: "files", text: other.to_owned() }),
    }
}

fn decode_closure_info(list: &mut Decoder) -> Result<(String, BTreeSet<String>), DecodeError> {
    let name = list.text("closureInfo")?.to_owned();
    let read = |paths: &mut Decoder| paths.text("closureInfo").map(str::to_owned);
    let paths = list.sorted("closureInfo", read, Clone::clone)?;
    Ok((name, paths.into_iter().collect()))
}

fn decode_input(list: &mut Decoder) -> Result<Input, DecodeError> {
    let meaningless =
        |text: &str| DecodeError::Meaningless { field: "inputs", text: text.to_owned() };
    let name = list.text("inputs")?;
    match list.text("inputs")? {
        "" => StorePath::from_base_name(name).map(Input::Path).map_err(|_| meaningless(name)),
        output => Ok(Input::Output {
            derivation: name.parse().map_err(|_| meaningless(name))?,
            output: OutputName::new(output).map_err(|_| meaningless(output))?,
        }),
    }
}

fn decode_outputs(decoder: &mut Decoder) -> Result<Outputs, DecodeError> {
    let fields = decoder.list(|list| list.text("outputs").map(str::to_owned))?;
    let meaningless = || DecodeError::Meaningless { field: "outputs", text: fields.join(",") };
    match fields.split_first() {
        Some((kind, names)) if kind == "floating" && !names.is_empty() => {
            if !names.is_sorted_by(|a, b| a < b) {
                return Err(DecodeError::Unsorted { field: "outputs" });
            }
            let parse = |name: &String| OutputName::new(name).map_err(|_| meaningless());
            let names: Result<Vec<_>, _> = names.iter().map(parse).collect();
            Ok(Outputs::Floating(names?.into()))
        }
        Some((kind, [method, hash])) if kind == "fixed" => {
            let method = method.parse().map_err(|()| meaningless())?;
            let parsed: DeclaredHash = hash.parse().map_err(|_| meaningless())?;
            if parsed.to_string() != *hash {
                return Err(meaningless());
            }
            Ok(Outputs::Fixed(FixedOutput { method, hash: parsed }))
        }
        _ => Err(meaningless()),
    }
}
