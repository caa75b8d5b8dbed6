pub mod design;
pub mod fit;
pub mod front;
