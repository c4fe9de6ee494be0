use super::wrong;
#[test]
fn dump() {
 let mut o = String::new();
o += &format!("<<<<a_misspelt_key\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
epoch = 3
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_misspelt_key_in_an_inline_table\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
method = "matssl"
encoder = { arch = "resnet18", wieghts = "x" }
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_wrong_type\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
epochs = "three"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_unknown_kind\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrian"
patches = "patches"
[stages.seg]
kind = "finetune"
dataset = "d"
encoder = "ssl.matssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<no_kind\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
patches = "patches"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_misspelt_kind\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
knd = "pretrain"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_reference_that_is_no_name\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = 3
encoder = { arch = "resnet18" }
method = "matssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_list_of_no_stages\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = []
encoder = { arch = "resnet18" }
method = "matssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_pattern_that_is_none\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches.["
encoder = { arch = "resnet18" }
method = "matssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_stage_name_with_a_dot\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages."a.b"]
kind = "synthesize"
images = 1
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<out_of_range_above\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
epochs = 5_000_000_000
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_key_no_type_has\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
crop = [1, 2, 3]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_kind_of_another_section\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.t]
kind = "table"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_unknown_method\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matsll"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_unknown_method_in_a_matrix\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
matrix.method = ["densecl", "mocov3"]
matrix.epochs = [1, 2, 3]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_unknown_stage\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patch"
encoder = { arch = "resnet18" }
method = "matssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_pattern_that_matches_nothing\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = ["patches", "patch.*"]
encoder = { arch = "resnet18" }
method = "matssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_stage_of_the_wrong_kind\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "d"
encoder = { arch = "resnet18" }
method = "matssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<several_where_one_is_taken\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
matrix.method = ["densecl", "matssl"]
[stages.seg]
kind = "finetune"
dataset = "d"
encoder = "ssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_circle\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.a]
kind = "pretrain"
patches = "patches"
encoder = "b"
method = "matssl"
[stages.b]
kind = "pretrain"
patches = "patches"
encoder = "a"
method = "matssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_stage_that_takes_itself\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.a]
kind = "pretrain"
patches = "patches"
encoder = "a"
method = "matssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<out_of_range\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
epochs = -1
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_check_of_a_parameter\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
temperature = 0
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_check_of_a_parameter_that_is_not_written\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
epochs = 2000
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_check_of_one_member\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
matrix.temperature = [0.07, 0.0]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_matrix_that_names_a_missing_key\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
matrix.temprature = [0.07, 0.2]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_key_both_in_matrix_and_stage\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
matrix.method = ["densecl"]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_empty_list_in_a_matrix\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
matrix.method = []
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_matrix_that_is_excluded_away\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
matrix.method = ["densecl", "matssl"]
matrix.exclude = [{ method = "*" }]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_exclude_that_excludes_nothing\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
matrix.method = ["densecl", "matssl"]
matrix.exclude = [{ method = "mocov2" }, { methd = "matssl" }]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_nameless_table_in_a_matrix\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
method = "matssl"
matrix.encoder = [{ arch = "resnet18" }]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_value_for_a_list_in_a_matrix\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
matrix.method = "matssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<two_members_with_one_name\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
matrix.method = ["matssl", "matssl"]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<include_that_tells_nothing\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
matrix.include = [{ method = "matssl" }, { method = "matssl" }]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<too_many_stages\n{}>>>>\n", match super::parsed(r#"name = "x"
max_stages = 3
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
matrix.method = ["densecl", "matssl"]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<too_many_stages_with_seeds\n{}>>>>\n", match super::parsed(r#"name = "x"
seeds = [0, 1, 2]
max_stages = 4
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_stage_written_twice\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
[stages.patches]
kind = "patchify"
dataset = "d"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_key_written_twice\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
patches = "patches"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_name_for_a_data_set_and_a_stage\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.d]
kind = "synthesize"
images = 1
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<broken_toml\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl
kind = "pretrain"
x = 
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_open_string\n{}>>>>\n", match super::parsed(r#"name = "x
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_empty_file\n{}>>>>\n", match super::parsed(r#""#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<only_comments\n{}>>>>\n", match super::parsed(r#"# nothing yet
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<no_name_and_no_stages\n{}>>>>\n", match super::parsed(r#"title = "x"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<no_stages\n{}>>>>\n", match super::parsed(r#"name = "x"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_name_that_is_no_folder\n{}>>>>\n", match super::parsed(r#"name = "../x"
[datasets.d]
format = "folder"
path = "d"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<seeds_that_are_none\n{}>>>>\n", match super::parsed(r#"name = "x"
seeds = [0, 0, -1, "a"]
[datasets.d]
format = "folder"
path = "d"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_section_misspelt\n{}>>>>\n", match super::parsed(r#"name = "x"
[dataset.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_table_with_one_bracket\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[tables]
file = "t"
rows = ["patches"]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<a_table_without_a_file\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[[tables]]
rows = ["patches"]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<missing_parameters\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<missing_in_an_inline_table\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
optimizer = { nme = "sgd" }
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<several_at_once\n{}>>>>\n", match super::parsed(r#"name = "x"
seed = [0]
[datasets.d]
format = "foldr"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
size = 25.6
overlp = 0.5
[stages.ssl]
kind = "pretrain"
patches = "patchs"
encoder = { arch = 18, weights = "x" }
epochs = "many"
crop = [1, "b"]
optimizer = { name = "sgd", learning_rate = "fast", momentum = 0.9 }
matrix.method = ["densecl", "matsll"]
matrix.temperature = [0.1, 0.2]
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_override_with_a_wrong_value\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
"#, &["stages.ssl.epochs=few"]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_override_of_an_unknown_stage\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
"#, &["stages.sll.epochs=3"]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_override_without_a_value\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
"#, &["epochs"]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<an_override_with_an_unknown_key\n{}>>>>\n", match super::parsed(r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
patches = "patches"
encoder = { arch = "resnet18" }
method = "matssl"
"#, &["stages.ssl.epoch=3", "titel=abc", "stages.ssl.epochs.x=1", "stages.patches.size=[1,"]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
o += &format!("<<<<control_characters_are_not_passed_on\n{}>>>>\n", match super::parsed(r#"name = "x"
"\u001b[31mred" = 1
"#, &[""; 0]) { Ok(_) => "RIGHT?!\n".to_string(), Err(w) => w.render(false) });
std::fs::write("/tmp/exp/out.txt", o).unwrap(); let _ = wrong; }
