//! Writes a demonstration page with invented numbers: `cargo run -p ptu-report --example demo -- demo.html [compare]`.

mod pages;
mod picture;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "demo.html".into());
    let page = match arguments.next().as_deref() {
        Some("compare") => pages::comparison(),
        _ => pages::single(),
    };
    std::fs::write(path, ptu_report::render(&page))
}
