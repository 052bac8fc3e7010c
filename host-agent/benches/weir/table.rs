//! Tables in Markdown.

/// Prints a table's title, a line of text and its head; columns after the first are numbers.
pub(crate) fn head(title: &str, text: &str, columns: &[&str]) {
    println!("\n### {title}\n\n{text}\n\n| {} |", columns.join(" | "));
    println!("|---{}|", "|---:".repeat(columns.len() - 1));
}

/// Prints a row of it.
pub(crate) fn row(cells: &[&str]) {
    println!("| {} |", cells.join(" | "));
}

/// A figure that must reach `goal`, with a mark where it doesn't.
pub(crate) fn at_least(figure: f64, goal: f64) -> String {
    mark(format!("{figure:.2}"), figure >= goal)
}

/// A figure that must stay below `goal`, with a mark where it doesn't.
pub(crate) fn below(figure: f64, goal: f64) -> String {
    mark(format!("{figure:.2}"), figure < goal)
}

/// A figure that may reach `goal` and not go beyond it, with a mark where it does.
pub(crate) fn at_most(figure: f64, goal: f64) -> String {
    mark(format!("{figure:.2}"), figure <= goal)
}

fn mark(figure: String, reached: bool) -> String {
    if reached { figure } else { format!("{figure} (missed)") }
}
