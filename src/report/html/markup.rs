//! HTML as a value: what is text is escaped here and nowhere else, and every element that is opened is closed.

use crate::escape;

/// Well-formed HTML.
#[derive(Clone, Default)]
pub struct Html(String);

impl Html {
    /// Text, whatever is in it.
    pub fn text(text: &str) -> Self {
        Self(escape::xml(text))
    }

    /// Several lines of text.
    pub fn lines(text: &str) -> Self {
        Self(text.trim_matches('\n').split('\n').map(escape::xml).collect::<Vec<_>>().join("<br>"))
    }

    /// Markup that is well-formed already: a drawing, or the page's own script.
    pub fn trusted(markup: String) -> Self {
        Self(markup)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<T: IntoIterator<Item = Html>>(parts: T) -> Self {
        Self(parts.into_iter().map(|part| part.0).collect())
    }
}

/// An element with its attributes, of which those without a value are switches, and what is in it.
pub fn element(name: &str, attributes: &[(&str, &str)], inside: impl IntoIterator<Item = Html>) -> Html {
    let mut out = format!("<{name}");
    for (attribute, value) in attributes {
        out += &match *value {
            "" => format!(" {attribute}"),
            value => format!(" {attribute}=\"{}\"", escape::xml(value)),
        };
    }
    out.push('>');
    inside.into_iter().for_each(|part| out += &part.0);
    out += &format!("</{name}>");
    Html(out)
}

/// An element without attributes that holds a text.
pub fn said(name: &str, text: &str) -> Html {
    element(name, &[], [Html::text(text)])
}

/// What is folded away until somebody wants it.
pub fn folded(summary: &str, inside: impl IntoIterator<Item = Html>) -> Html {
    element("details", &[], [said("summary", summary)].into_iter().chain(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_opens_nothing() {
        let html = element("p", &[("title", "\"><script>"), ("hidden", "")], [Html::text("<b>&\u{202e}\n")]);
        let safe = "<p title=\"&quot;&gt;&lt;script&gt;\" hidden>&lt;b&gt;&amp;\\u202e\\n</p>";
        assert_eq!(html.into_string(), safe);
        assert_eq!(Html::lines("a\n<b>").into_string(), "a<br>&lt;b&gt;");
    }
}
