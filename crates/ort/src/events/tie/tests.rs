//! Sessions that others made, and the nodes that their operators compute.

use super::*;
use oplat_graph::onnx::messages::{GraphProto, ModelProto, TensorProto, ValueInfoProto};

/// A graph of `name: op inputs… -> output`, one a line; `w` is a weight. No name is left out with `_`.
fn model(lines: &[&str]) -> Model {
    let node = |line: &&str| {
        let (name, rest) = line.split_once(": ").unwrap();
        let (left, output) = rest.split_once(" -> ").unwrap();
        let mut words = left.split(' ').map(str::to_owned);
        NodeProto {
            name: Some(name.to_owned()).filter(|name| name != "_"),
            op_type: words.next(),
            input: words.collect(),
            output: vec![output.to_owned()],
            ..Default::default()
        }
    };
    let value = |name: &str| ValueInfoProto { name: Some(name.into()), ..Default::default() };
    let graph = GraphProto {
        node: lines.iter().map(node).collect(),
        input: vec![value("x")],
        output: vec![value("y")],
        initializer: vec![TensorProto { name: Some("w".into()), ..Default::default() }],
        ..Default::default()
    };
    Model { proto: ModelProto { graph: Some(graph), ..Default::default() }, dir: None }
}

const CPU: &str = "CPUExecutionProvider";

fn row<'t>(name: &'t str, op: &'t str) -> Row<'t> {
    Row { name, op, provider: CPU, ..Row::default() }
}

const NAMED: [&str; 6] = [
    "/c: Conv x w -> c",
    "/s: Sigmoid c -> s",
    "/m: Mul c s -> m",
    "/d: Conv m w -> d",
    "/r: Relu d -> r",
    "/e: Conv r w -> y",
];

fn without_names() -> Model {
    let nameless = NAMED.map(|line| format!("_: {}", line.split_once(": ").unwrap().1));
    model(&nameless.each_ref().map(String::as_str))
}

#[test]
fn names_that_it_derives_lead_to_the_nodes_that_they_come_from() {
    // With all optimisations: the value that is put out, and a fusion's own name.
    let rows = [
        row("c_nchwc", "Conv"),
        row("/m/QuickGeluFusion/", "QuickGelu"),
        row("r_nchwc", "Conv"),
        row("ReorderOutput_token_4", "ReorderOutput"),
        row("/e_token_12", "Conv"),
    ];
    assert_eq!(tie(&model(&NAMED), &rows), [vec![0], vec![1, 2], vec![3, 4], vec![5], vec![5]]);
    // One level less: the convolution keeps its name, and the activation is in nothing else.
    let rows = [
        row("fused /c", "Conv"),
        row("/m/QuickGeluFusion/", "QuickGelu"),
        row("/d", "FusedConv"),
        row("/e", "Conv"),
    ];
    assert_eq!(tie(&model(&NAMED), &rows), [vec![0], vec![1, 2], vec![3, 4], vec![5]]);
    // In half precision on a processor that has none.
    let rows = [
        row("InsertedPrecisionFreeCast_x", "Cast"),
        row("InsertedPrecisionFreeCast_c_nchwc", "Conv"),
        row("/m/QuickGeluFusion/", "QuickGelu"),
        row("InsertedPrecisionFreeCast_r_nchwc", "Conv"),
        row("InsertedPrecisionFreeCast_y", "Conv"),
    ];
    assert_eq!(tie(&model(&NAMED), &rows), [vec![0], vec![0], vec![1, 2], vec![3, 4], vec![5]]);
}

#[test]
fn what_was_done_to_a_node_without_a_name_is_no_name_of_another_model() {
    let lines = [
        "_: MatMul x w -> a",
        "_: Add a w -> b",
        "_: Sigmoid b -> s",
        "_: Mul b s -> m",
        "_: MatMul m w -> y",
    ];
    let rows = [
        row("MatMulAddFusion", "Gemm"),
        row("/QuickGeluFusion/", "QuickGelu"),
        row("/MatMulScaleFusion/", "FusedMatMul"),
    ];
    assert_eq!(tie(&model(&lines), &rows), [vec![0, 1], vec![2, 3], vec![4]]);
}

#[test]
fn a_name_is_not_taken_for_the_beginning_of_another() {
    let model = model(&["Conv: Conv x w -> c", "Conv_1: Conv c w -> d", "Mul: Mul d d -> y"]);
    let rows = [row("Conv", "Conv"), row("Conv_1", "Conv"), row("Mul_7", "Mul")];
    assert_eq!(tie(&model, &rows), [vec![0], vec![1], vec![2]]);
}

#[test]
fn nodes_without_names_are_told_by_their_numbers_else_by_their_order() {
    let numbered = |op: &'static str, node_index| Row { node_index: Some(node_index), ..row("", op) };
    // As it runs them, not as they stand.
    let rows = ["Conv", "Sigmoid", "Mul", "Conv", "Relu", "Conv"];
    let by_number: Vec<Row> = rows.iter().enumerate().map(|(at, op)| numbered(op, at)).collect();
    let one_each: Vec<Vec<usize>> = (0..6).map(|at| vec![at]).collect();
    assert_eq!(tie(&without_names(), &by_number), one_each);
    let by_order: Vec<Row> = rows.iter().map(|op| row("", op)).collect();
    assert_eq!(tie(&without_names(), &by_order), one_each);
    // A number of another operator's is none; new operators have numbers behind all others.
    let fused = [
        numbered("Conv", 0),
        Row { name: "/QuickGeluFusion/", ..numbered("QuickGelu", 6) },
        Row { name: "FusedConv_7", ..numbered("FusedConv", 3) },
        numbered("Conv", 5),
    ];
    assert_eq!(tie(&without_names(), &fused), [vec![0], vec![1, 2], vec![3, 4], vec![5]]);
}

#[test]
fn of_branches_an_operator_has_what_was_ready_when_it_ran() {
    let model = model(&[
        "/a: Conv x w -> a",
        "/as: Sigmoid a -> as",
        "/am: Mul a as -> am",
        "/b: Conv x w -> b",
        "/bs: Sigmoid b -> bs",
        "/bm: Mul b bs -> bm",
        "/c: Add am bm -> y",
    ]);
    // The second branch runs first, and nothing but its place tells which activation is whose.
    let rows = [
        row("/b", "Conv"),
        row("QuickGelu", "QuickGelu"),
        row("/a", "Conv"),
        row("QuickGelu_token_1", "QuickGelu"),
        row("/c", "Add"),
    ];
    let expected = [vec![3], vec![4, 5], vec![0], vec![1, 2], vec![6]];
    assert_eq!(tie(&model, &rows), expected);
}

#[test]
fn a_provider_has_what_no_other_operator_has_and_what_it_could_have_had() {
    let nnapi = |name, op| Row { name, op, provider: "NnapiExecutionProvider", ..Row::default() };
    let whole = [nnapi("NnapiExecutionProvider_Nnapi_12_1_0", "Nnapi_12_1")];
    assert_eq!(tie(&model(&NAMED), &whole), [(0..6).collect::<Vec<usize>>()]);
    let parts = [
        nnapi("NnapiExecutionProvider_Nnapi_12_1_0", "Nnapi_12_1"),
        row("/d", "Conv"),
        nnapi("NnapiExecutionProvider_Nnapi_12_2_1", "Nnapi_12_2"),
    ];
    assert_eq!(tie(&model(&NAMED), &parts), [vec![0, 1, 2], vec![3], vec![4, 5]]);
    // XNNPACK names a convolution with its activation like that, and it is one all the same.
    let xnn = |name, op| Row { name, op, provider: "XnnpackExecutionProvider", ..Row::default() };
    let rows = [
        row("/c", "Conv"),
        row("/s", "Sigmoid"),
        row("/m", "Mul"),
        xnn("XnnpackExecutionProvider_Conv_3", "Conv"),
        row("Transpose_token_8", "Transpose"),
        row("/e", "Conv"),
    ];
    assert_eq!(tie(&model(&NAMED), &rows), [vec![0], vec![1], vec![2], vec![3, 4], vec![5], vec![5]]);
}

#[test]
fn operators_of_another_model_are_not_tied() {
    let rows = [row("/stem/conv", "Conv"), row("/stem/act", "Relu"), row("/head", "Softmax")];
    assert_eq!(tie(&model(&NAMED), &rows), [vec![0usize; 0], vec![], vec![]]);
    assert_eq!(tie(&model(&[]), &rows).len(), 3);
    assert_eq!(tie(&model(&NAMED), &[]).len(), 0);
}

#[test]
fn the_optimised_model_tells_what_no_name_does() {
    let optimised = model(&[
        "a1: Conv x w -> c",
        "a2: QuickGelu c -> m",
        "a3: FusedConv m w -> r",
        "a4: Transpose r -> t",
        "a5: Conv t w -> y",
    ]);
    let mut rows = [
        row("a1", "Conv"),
        row("a2", "QuickGelu"),
        row("a3", "FusedConv"),
        row("a4", "Transpose"),
        row("a5", "Conv"),
    ];
    let model = model(&NAMED);
    assert_eq!(look_up(&optimised, &mut rows), 0);
    assert_eq!(tie(&model, &rows), [vec![0], vec![1, 2], vec![3, 4], vec![5], vec![5]]);
    let mut others = [row("b1", "Conv"), Row { node_index: Some(4), ..row("Relu_4", "Relu") }];
    assert_eq!(look_up(&optimised, &mut others), 1, "what has no name isn't looked for");
}

#[test]
fn nodes_of_a_function_are_of_its_call_whatever_they_are_called() {
    let model = model(&[
        "/c: Conv x w -> c",
        "/a: Mish c -> a",
        "/d: Conv a w -> d",
        "/b: Mine d -> b",
        "/e: Conv b w -> y",
    ]);
    let rows = [
        row("c_nchwc", "Conv"),
        row("ReorderOutput", "ReorderOutput"),
        row("Softplus_57", "Softplus"),
        row("Tanh_58", "Tanh"),
        row("Mul_59", "Mul"),
        row("ReorderInput", "ReorderInput"),
        row("d_nchwc", "Conv"),
        row("_inlfunc_Mine_token_0_mul/QuickGeluFusion/", "QuickGelu"),
        row("y_nchwc", "Conv"),
    ];
    let tied = tie(&model, &rows);
    assert_eq!(tied, [vec![0], vec![1], vec![1], vec![1], vec![1], vec![2], vec![2], vec![3], vec![4]]);
}

#[test]
fn what_is_named_by_an_activation_is_the_product_before_it() {
    // The first Conv is named by its Sigmoid, so a nameless operator before it is not that Conv.
    let lines = [
        "/c: Conv x w -> c",
        "/m: Mish c -> m",
        "/d: Conv m w -> d",
        "/s: Sigmoid d -> s",
        "/e: Conv s w -> y",
    ];
    let rows = [
        row("c_nchwc", "Conv"),
        row("Softplus_7", "Softplus"),
        row("Tanh_8", "Tanh"),
        row("ReorderInput_3", "ReorderInput"),
        row("s_nchwc", "Conv"),
        row("y_nchwc", "Conv"),
    ];
    assert_eq!(tie(&model(&lines), &rows), [vec![0], vec![1], vec![1], vec![2], vec![2, 3], vec![4]]);
}

#[test]
fn a_convolution_that_adds_a_branch_has_the_addition_and_the_activation_behind_it() {
    let lines = ["/c: Conv x w -> c", "/a: Add c x -> a", "/r: Relu a -> r", "/e: Conv r w -> y"];
    let rows = |adds| [Row { adds, ..row("c_nchwc", "Conv") }, row("y_nchwc", "Conv")];
    assert_eq!(tie(&model(&lines), &rows(true)), [vec![0, 1, 2], vec![3]]);
    // Another activation has an operator of its own.
    let own = [Row { adds: true, ..row("c_nchwc", "Conv") }, row("/r", "Relu"), row("y_nchwc", "Conv")];
    assert_eq!(tie(&model(&lines), &own), [vec![0, 1], vec![2], vec![3]]);
}
