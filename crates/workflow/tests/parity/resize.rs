//! Position embeddings of one resolution, resized to another.

use ptu_model::fit_positions;
use ptu_model::weights::Array;
use ptu_workflow::parity::Quantities;
use ptu_workflow::reference::Case;

pub fn run(case: &Case) -> Result<Quantities, String> {
    let mut quantities = Quantities::default();
    let (shape, values) = case.inputs.floats.get("positions").ok_or("no `positions`")?;
    for grid in case.config["grids"].as_array().ok_or("no `grids`")? {
        let grid = grid.as_u64().ok_or("a grid is not a number")? as usize;
        let mut array = Array { shape: shape.clone(), values: values.clone() };
        fit_positions(&mut array, grid, 1);
        let name =
            case.expected.floats.keys().find(|name| name.starts_with("resized_") && name.ends_with(&format!("{grid}")));
        let name = name.ok_or(format!("no expected positions for grid {grid}"))?;
        quantities.values(name, &array.values, &case.expected.floats[name].1);
    }
    Ok(quantities)
}
