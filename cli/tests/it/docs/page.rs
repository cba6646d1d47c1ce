//! A Markdown page as the rules read it: blocks of code, spans of code, headings, links.
//!
//! Reads the little Markdown that this repository writes: fenced blocks with three backticks, headings with `#`, inline links.

/// A page; `path` is relative to the root of the repository.
pub(super) struct Page {
    pub(super) path: String,
    text: String,
}

/// A fenced block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Line of its first line of code, from 1.
    pub(super) line: usize,
    pub(super) code: String,
    /// The text of an HTML comment on the line before the fence.
    pub(super) comment: Option<String>,
}

/// A piece of a page and the line that it begins on, from 1.
pub(super) type Piece = (usize, String);

impl Page {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(super) fn lines(&self) -> std::str::Lines<'_> {
        self.text.lines()
    }

    /// Fenced blocks in the language `language`.
    pub(super) fn blocks(&self, language: &str) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<(bool, Block)> = None;
        let mut before = "";
        for (index, line) in self.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(_), Some((is_wanted, block))) => blocks.extend(is_wanted.then_some(block)),
                (Some(opening), None) => {
                    let block =
                        Block { line: index + 2, code: String::new(), comment: comment(std::mem::take(&mut before)) };
                    open = Some((opening.trim() == language, block));
                }
                (None, Some((is_wanted, mut block))) => {
                    block.code.push_str(line);
                    block.code.push('\n');
                    open = Some((is_wanted, block));
                }
                (None, None) => before = line,
            }
        }
        blocks
    }

    /// Lines outside of blocks of code, with their numbers.
    pub(super) fn prose(&self) -> Vec<(usize, &str)> {
        let mut is_code = false;
        let mut prose = Vec::new();
        for (index, line) in self.lines().enumerate() {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            if !is_code && !is_fence {
                prose.push((index + 1, line));
            }
        }
        prose
    }

    /// What stands between single backticks; a span may not go over the end of a line.
    pub(super) fn spans(&self) -> Vec<Piece> {
        let spans_of = |(line, text): (usize, &str)| {
            let inside = text.split('`').enumerate().filter(|(index, _)| index % 2 == 1);
            inside.map(|(_, span)| (line, span.to_owned())).collect::<Vec<_>>()
        };
        self.prose().into_iter().flat_map(spans_of).collect()
    }

    /// Targets of inline links and images, without what only looks like one in a span of code.
    pub(super) fn links(&self) -> Vec<Piece> {
        let links_of = |(line, text): (usize, &str)| {
            let text = without_spans(text);
            let targets = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
            targets.map(|target| (line, target)).collect::<Vec<_>>()
        };
        self.prose().into_iter().flat_map(links_of).collect()
    }

    /// The names by which headings can be linked to.
    pub(super) fn anchors(&self) -> Vec<String> {
        let headings = self.prose().into_iter().filter(|(_, line)| line.starts_with('#'));
        headings.map(|(_, line)| anchor(line.trim_start_matches('#').trim())).collect()
    }
}

/// As GitHub makes it of a heading: small, without punctuation, with `-` for spaces.
fn anchor(heading: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.chars().filter(is_kept).map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn comment(line: &str) -> Option<String> {
    Some(line.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim().to_owned())
}

fn without_spans(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

#[test]
fn a_page_falls_into_blocks_spans_headings_and_links() {
    let page = Page::new(
        "docs/a.md",
        "# One, and `two`\n[b](b.md#c) `x](no)` `y`\n<!-- continues -->\n```sql\nSELECT 1\n```\n```\n[no](no.md)\n```\n",
    );
    assert_eq!(page.anchors(), ["one-and-two"]);
    assert_eq!(page.links(), [(2, "b.md#c".to_owned())]);
    assert_eq!(page.spans(), [(1, "two".to_owned()), (2, "x](no)".to_owned()), (2, "y".to_owned())]);
    let block = Block { line: 5, code: "SELECT 1\n".to_owned(), comment: Some("continues".to_owned()) };
    assert_eq!(page.blocks("sql"), [block]);
}
