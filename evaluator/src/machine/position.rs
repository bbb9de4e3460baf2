//! Positions as values: `__curPos`, `unsafeGetAttrPos`.

use super::Machine;
use crate::source::Pos;
use crate::symbol::well_known;
use crate::value::Value;

impl Machine {
    /// Where the instruction that runs comes from.
    pub(crate) fn running_pos(&self) -> Pos {
        match self.program.place_before(self.ip) {
            Some(place) => self.sources.pos(place.source, place.span.start),
            None => Pos::NONE,
        }
    }

    /// `__curPos`.
    #[cold]
    pub(super) fn current_position(&mut self) -> Value {
        self.position_value(self.running_pos())
    }

    /// A position as the set `{ file; line; column; }`, or null if it is no file's.
    pub fn position_value(&mut self, pos: Pos) -> Value {
        let Some((id, offset)) = self.sources.locate(pos) else { return Value::NULL };
        let source = self.sources.get(id);
        if !source.is_file {
            return Value::NULL;
        }
        let name = source.name.clone();
        let (line, column) = self.sources.line_column(id, offset);
        let file = self.string(name);
        let (line, column) = (self.int(line as i64), self.int(column as i64));
        self.attrs(vec![
            (well_known::FILE, Pos::NONE, file),
            (well_known::LINE, Pos::NONE, line),
            (well_known::COLUMN, Pos::NONE, column),
        ])
    }
}
