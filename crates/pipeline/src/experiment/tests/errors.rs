//! Every error as it is shown, to the letter.

use super::wrong;

macro_rules! shows {
    ($($name:ident: $text:expr, $flags:expr => $shown:expr;)*) => {
        $(#[test]
        fn $name() {
            let shown = wrong($text, &$flags);
            assert!(shown == &$shown[1..], "shown:\n{shown}\nexpected:{}", $shown);
        })*
    };
}

shows! {
a_misspelt_key: r#"name = "x"
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
"#, [""; 0] => r#"
error: unknown key `epoch`
  --> a.toml:13:1
   |
13 | epoch = 3
   | ^^^^^ `pretrain` has no such parameter
   |
   = help: did you mean `epochs`?
   = note: expected one of `patches`, `method`, `encoder`, `epochs`, `temperature`, `optimizer`, `crop`
"#;

a_misspelt_key_in_an_inline_table: r#"name = "x"
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
"#, [""; 0] => r#"
error: unknown key `wieghts`
  --> a.toml:12:32
   |
12 | encoder = { arch = "resnet18", wieghts = "x" }
   |                                ^^^^^^^ there is no such key here
   |
   = help: did you mean `weights`?
   = note: expected one of `arch`, `weights`
"#;

a_wrong_type: r#"name = "x"
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
"#, [""; 0] => r#"
error: wrong type for `epochs`
  --> a.toml:13:10
   |
13 | epochs = "three"
   |          ^^^^^^^ expected a whole number, found the string "three"
"#;

an_unknown_kind: r#"name = "x"
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
"#, [""; 0] => r#"
error: unknown kind of stage `pretrian`
 --> a.toml:9:8
  |
9 | kind = "pretrian"
  |        ^^^^^^^^^^
  |
  = help: did you mean `pretrain`?
  = note: expected one of `synthesize`, `patchify`, `pretrain`, `finetune`
"#;

no_kind: r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
patches = "patches"
"#, [""; 0] => r#"
error: stage `ssl` has no `kind`
 --> a.toml:8:9
  |
8 | [stages.ssl]
  |         ^^^ expected `kind = "…"` below this
  |
  = note: expected one of `synthesize`, `patchify`, `pretrain`, `finetune`
"#;

a_misspelt_kind: r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
knd = "pretrain"
"#, [""; 0] => r#"
error: stage `ssl` has no `kind`
 --> a.toml:9:1
  |
9 | knd = "pretrain"
  | ^^^ did you mean `kind`?
  |
  = note: expected one of `synthesize`, `patchify`, `pretrain`, `finetune`
"#;

a_reference_that_is_no_name: r#"name = "x"
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
"#, [""; 0] => r#"
error: wrong type for `patches`
  --> a.toml:10:11
   |
10 | patches = 3
   |           ^ expected the name of a stage, or a list of names, found a whole number
   |
   = note: stages of this kind here: `patches`
"#;

a_list_of_no_stages: r#"name = "x"
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
"#, [""; 0] => r#"
error: `patches` names no stage
  --> a.toml:10:11
   |
10 | patches = []
   |           ^^ expected at least one name
   |
   = note: stages of this kind here: `patches`
"#;

a_pattern_that_is_none: r#"name = "x"
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
"#, [""; 0] => r#"
error: `patches.[` is no pattern
  --> a.toml:10:11
   |
10 | patches = "patches.["
   |           ^^^^^^^^^^^ unclosed character class; missing ']'
"#;

a_stage_name_with_a_dot: r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages."a.b"]
kind = "synthesize"
images = 1
"#, [""; 0] => r#"
error: a stage cannot be called `a.b`
 --> a.toml:8:9
  |
8 | [stages."a.b"]
  |         ^^^^^ expected letters, digits, `_` and `-`, 1 to 100 of them
"#;

out_of_range_above: r#"name = "x"
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
"#, [""; 0] => r#"
error: `epochs` is out of range
  --> a.toml:13:10
   |
13 | epochs = 5_000_000_000
   |          ^^^^^^^^^^^^^ expected a whole number from 0 to 4294967295, found `5000000000`
"#;

a_list_that_is_too_short: r#"name = "x"
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
crop = [1]
"#, [""; 0] => r#"
error: wrong value for `crop`
  --> a.toml:13:8
   |
13 | crop = [1]
   |        ^^^ invalid length 1, expected an array of length 2
"#;

a_kind_of_another_section: r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.t]
kind = "table"
"#, [""; 0] => r#"
error: `table` is not written as a stage
 --> a.toml:9:8
  |
9 | kind = "table"
  |        ^^^^^^^
  |
  = help: write it as `[[tables]]`, without `kind`
"#;

an_unknown_method: r#"name = "x"
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
"#, [""; 0] => r#"
error: unknown value `matsll` for `method`
  --> a.toml:12:10
   |
12 | method = "matsll"
   |          ^^^^^^^^
   |
   = help: did you mean `matssl`?
   = note: expected one of `densecl`, `mocov2`, `matssl`
"#;

an_unknown_method_in_a_matrix: r#"name = "x"
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
"#, [""; 0] => r#"
error: unknown value `mocov3` for `method`
  --> a.toml:12:29
   |
12 | matrix.method = ["densecl", "mocov3"]
   |                             ^^^^^^^^
   |
   = help: did you mean `mocov2`?
   = note: expected one of `densecl`, `mocov2`, `matssl`
"#;

an_unknown_stage: r#"name = "x"
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
"#, [""; 0] => r#"
error: there is no stage `patch`
  --> a.toml:10:11
   |
10 | patches = "patch"
   |           ^^^^^^^ `patches` takes a stage of kind `patchify`
   |
   = help: did you mean `patches`?
   = note: stages of this kind here: `patches`
"#;

a_pattern_that_matches_nothing: r#"name = "x"
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
"#, [""; 0] => r#"
error: `patch.*` matches no stage
  --> a.toml:10:23
   |
10 | patches = ["patches", "patch.*"]
   |                       ^^^^^^^^^ `patches` takes a stage of kind `patchify`
   |
   = help: did you mean `patches.*`?
   = note: stages of this kind here: `patches`
"#;

a_stage_of_the_wrong_kind: r#"name = "x"
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
"#, [""; 0] => r#"
error: `d` is of the wrong kind
  --> a.toml:10:11
   |
 2 | [datasets.d]
   |           - a stage of kind `dataset`
...
10 | patches = "d"
   |           ^^^ `patches` takes a stage of kind `patchify`, not `dataset`
   |
   = note: stages of this kind here: `patches`
"#;

several_where_one_is_taken: r#"name = "x"
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
"#, [""; 0] => r#"
error: `ssl` stands for 2 stages
  --> a.toml:16:11
   |
16 | encoder = "ssl"
   |           ^^^^^ `encoder` takes one
   |
   = help: `matrix.encoder = ["ssl"]` makes one stage with each
   = note: they are `ssl.densecl`, `ssl.matssl`
"#;

a_circle: r#"name = "x"
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
"#, [""; 0] => r#"
error: stages wait for one another: `a` → `b` → `a`
  --> a.toml:11:11
   |
11 | encoder = "b"
   |           ^^^ `a` takes `b`
...
16 | encoder = "a"
   |           --- `b` takes `a`
"#;

a_stage_that_takes_itself: r#"name = "x"
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
"#, [""; 0] => r#"
error: stages wait for one another: `a` → `a`
  --> a.toml:11:11
   |
11 | encoder = "a"
   |           ^^^ `a` takes itself as an input
"#;

out_of_range: r#"name = "x"
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
"#, [""; 0] => r#"
error: `epochs` is out of range
  --> a.toml:13:10
   |
13 | epochs = -1
   |          ^^ expected a whole number from 0 to 4294967295, found `-1`
"#;

a_check_of_a_parameter: r#"name = "x"
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
"#, [""; 0] => r#"
error: `temperature` must be above 0, not 0
  --> a.toml:13:15
   |
13 | temperature = 0
   |               ^
"#;

a_check_of_a_parameter_that_is_not_written: r#"name = "x"
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
"#, [""; 0] => r#"
error: an optimizer must be given for more than 1000 epochs
 --> a.toml:8:1
  |
8 | [stages.ssl]
  | ^^^^^^^^^^^^ `optimizer.name` is not written here and has its default
"#;

a_check_of_one_member: r#"name = "x"
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
"#, [""; 0] => r#"
error: `temperature` must be above 0, not 0
  --> a.toml:13:29
   |
13 | matrix.temperature = [0.07, 0.0]
   |                             ^^^
   |
   = note: in `ssl.0.0`
"#;

a_matrix_that_names_a_missing_key: r#"name = "x"
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
"#, [""; 0] => r#"
error: unknown key `temprature`
  --> a.toml:13:8
   |
13 | matrix.temprature = [0.07, 0.2]
   |        ^^^^^^^^^^ the matrix sets it, but `pretrain` has no such parameter
   |
   = help: did you mean `temperature`?
   = note: expected one of `patches`, `method`, `encoder`, `epochs`, `temperature`, `optimizer`, `crop`
"#;

a_key_both_in_matrix_and_stage: r#"name = "x"
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
"#, [""; 0] => r#"
error: `method` is set twice
  --> a.toml:13:8
   |
12 | method = "matssl"
   | ------ by the stage itself
13 | matrix.method = ["densecl"]
   |        ^^^^^^ by the matrix
   |
   = help: take one of them out; `matrix.method = [value]` is a matrix of one
"#;

an_empty_list_in_a_matrix: r#"name = "x"
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
"#, [""; 0] => r#"
error: the matrix gives `method` no value
  --> a.toml:12:17
   |
12 | matrix.method = []
   |                 ^^ expected at least one
"#;

a_matrix_that_is_excluded_away: r#"name = "x"
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
"#, [""; 0] => r#"
error: the matrix of `ssl` is empty
  --> a.toml:12:1
   |
12 | matrix.method = ["densecl", "matssl"]
   | ^^^^^^ no member is left
   |
   = help: `matrix.KEY = [value, value]` makes one stage for each; leave `matrix` out for a single one
"#;

an_exclude_that_excludes_nothing: r#"name = "x"
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
"#, [""; 0] => r#"
error: this leaves nothing out
  --> a.toml:13:19
   |
13 | matrix.exclude = [{ method = "mocov2" }, { methd = "matssl" }]
   |                   ^^^^^^^^^^^^^^^^^^^^^ no member of the matrix has these values

error: the matrix has no key `methd`
  --> a.toml:13:44
   |
13 | matrix.exclude = [{ method = "mocov2" }, { methd = "matssl" }]
   |                                            ^^^^^
   |
   = help: did you mean `method`?
   = note: expected `method`

error: 2 errors in all
"#;

a_nameless_table_in_a_matrix: r#"name = "x"
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
"#, [""; 0] => r#"
error: a table in a matrix needs a name
  --> a.toml:12:19
   |
12 | matrix.encoder = [{ arch = "resnet18" }]
   |                   ^^^^^^^^^^^^^^^^^^^^^ this value has no label to call its stage by
   |
   = help: write `matrix.encoder = { label = …, other = … }` instead of a list
"#;

a_value_for_a_list_in_a_matrix: r#"name = "x"
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
"#, [""; 0] => r#"
error: wrong type for `matrix.method`
  --> a.toml:12:17
   |
12 | matrix.method = "matssl"
   |                 ^^^^^^^^ expected a list or a table of label → value, found a string
   |
   = help: `matrix.method = ["matssl"]`
"#;

two_members_with_one_name: r#"name = "x"
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
"#, [""; 0] => r#"
error: two members of the matrix are called `ssl.matssl`
  --> a.toml:12:1
   |
12 | matrix.method = ["matssl", "matssl"]
   | ^^^^^^
   |
   = help: name the values: `matrix.KEY = { label = value, … }`, or `name = "…"` in `include`
"#;

include_that_tells_nothing: r#"name = "x"
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
"#, [""; 0] => r#"
error: two members of the matrix are called `ssl.matssl`
  --> a.toml:12:1
   |
12 | matrix.include = [{ method = "matssl" }, { method = "matssl" }]
   | ^^^^^^
   |
   = help: name the values: `matrix.KEY = { label = value, … }`, or `name = "…"` in `include`
"#;

too_many_stages: r#"name = "x"
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
"#, [""; 0] => r#"
error: the matrix of `ssl` makes 2 stages
  --> a.toml:13:1
   |
13 | matrix.method = ["densecl", "matssl"]
   | ^^^^^^ `max_stages` is 3
   |
   = help: if this is meant, write a higher `max_stages = …` at the top of the file
"#;

too_many_stages_with_seeds: r#"name = "x"
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
"#, [""; 0] => r#"
error: with 3 seeds the experiment has too many stages
  --> a.toml:10:9
   |
10 | [stages.ssl]
   |         ^^^ `max_stages` is 4
   |
   = help: if this is meant, write a higher `max_stages = …` at the top of the file
"#;

a_stage_written_twice: r#"name = "x"
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
"#, [""; 0] => r#"
error: `patches` is defined twice
  --> a.toml:13:9
   |
 5 | [stages.patches]
   | ---------------- first here
...
13 | [stages.patches]
   |         ^^^^^^^ a second time here
"#;

a_key_written_twice: r#"name = "x"
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
"#, [""; 0] => r#"
error: `patches` is defined twice
  --> a.toml:13:1
   |
10 | patches = "patches"
   | ------- first here
...
13 | patches = "patches"
   | ^^^^^^^ a second time here
"#;

a_name_for_a_data_set_and_a_stage: r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.d]
kind = "synthesize"
images = 1
"#, [""; 0] => r#"
error: two stages are called `d`
 --> a.toml:8:9
  |
2 | [datasets.d]
  |           - the first
...
8 | [stages.d]
  |         ^ the second
"#;

broken_toml: r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl
kind = "pretrain"
x = 
"#, [""; 0] => r#"
error: this is not TOML: unclosed table
 --> a.toml:8:12
  |
8 | [stages.ssl
  |            ^ expected `]`
"#;

an_open_string: r#"name = "x
"#, [""; 0] => r#"
error: this is not TOML: invalid basic string
 --> a.toml:1:10
  |
1 | name = "x
  |          ^ expected `"`
"#;

an_empty_file: r#""#, [""; 0] => r#"
error: the experiment file is empty
 --> a.toml:1:1
  |
1 |
  | ^
  |
  = help: the least that an experiment needs is a name and a stage:
          name = "my-experiment"
          [stages.NAME]
          kind = "…"
"#;

only_comments: r#"# nothing yet
"#, [""; 0] => r#"
error: the experiment file holds only comments
 --> a.toml:1:1
  |
1 | # nothing yet
  | ^
  |
  = help: the least that an experiment needs is a name and a stage:
          name = "my-experiment"
          [stages.NAME]
          kind = "…"
"#;

no_name_and_no_stages: r#"title = "x"
"#, [""; 0] => r#"
error: the experiment has no `name`
 --> a.toml:1:1
  |
1 | title = "x"
  | ^^^^^ expected `name = "…"` before this
  |
  = note: results are filed under this name
"#;

no_stages: r#"name = "x"
"#, [""; 0] => r#"
error: the experiment has no stages
 --> a.toml:1:1
  |
1 | name = "x"
  | ^
  |
  = help: the least that an experiment needs is a name and a stage:
          name = "my-experiment"
          [stages.NAME]
          kind = "…"
"#;

a_name_that_is_no_folder: r#"name = "../x"
[datasets.d]
format = "folder"
path = "d"
"#, [""; 0] => r#"
error: `../x` cannot name a file
 --> a.toml:1:8
  |
1 | name = "../x"
  |        ^^^^^^ expected letters, digits, `.`, `_` and `-`, 1 to 100 of them, no `.` in front
"#;

seeds_that_are_none: r#"name = "x"
seeds = [0, 0, -1, "a"]
[datasets.d]
format = "folder"
path = "d"
"#, [""; 0] => r#"
error: seed 0 is given twice
 --> a.toml:2:13
  |
2 | seeds = [0, 0, -1, "a"]
  |          -  ^ a second time here
  |          |
  |          first here

error: this is no seed
 --> a.toml:2:16
  |
2 | seeds = [0, 0, -1, "a"]
  |                ^^ expected a whole number from 0 to 2⁶⁴ − 1

error: this is no seed
 --> a.toml:2:20
  |
2 | seeds = [0, 0, -1, "a"]
  |                    ^^^ expected a whole number from 0 to 2⁶⁴ − 1

error: 3 errors in all
"#;

a_section_misspelt: r#"name = "x"
[dataset.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
"#, [""; 0] => r#"
error: unknown key `dataset`
 --> a.toml:2:2
  |
2 | [dataset.d]
  |  ^^^^^^^ an experiment has no such part
  |
  = help: did you mean `datasets`?
  = note: expected one of `name`, `title`, `seeds`, `max_stages`, `extends`, `remove`, `datasets`, `stages`, `tables`, `data_tables`, `figures`, `overlays`
"#;

a_table_with_one_bracket: r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[tables]
file = "t"
rows = ["patches"]
"#, [""; 0] => r#"
error: `tables` is a list
 --> a.toml:8:1
  |
8 | [tables]
  | ^^^^^^^^ expected `[[tables]]` with two brackets

error: `patches` is of the wrong kind
  --> a.toml:10:9
   |
 5 | [stages.patches]
   |         ------- a stage of kind `patchify`
...
10 | rows = ["patches"]
   |         ^^^^^^^^^ `rows` takes a stage of kind `finetune`, not `patchify`
   |
   = note: this file has no other stage of kind `finetune`

error: 2 errors in all
"#;

a_table_without_a_file: r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[[tables]]
rows = ["patches"]
"#, [""; 0] => r#"
error: missing `file`
 --> a.toml:8:1
  |
8 | [[tables]]
  | ^^^^^^^^^^ each of `[[tables]]` says which file to write, as `file = "…"`
"#;

missing_parameters: r#"name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
[stages.ssl]
kind = "pretrain"
"#, [""; 0] => r#"
error: missing `encoder`
 --> a.toml:8:1
  |
8 | [stages.ssl]
  | ^^^^^^^^^^^^ a stage of kind `pretrain` needs `encoder`
  |
  = help: `encoder = "…"` names a stage of kind `pretrain`
  = note: this file has no other stage of kind `pretrain`

error: missing `method`
 --> a.toml:8:1
  |
8 | [stages.ssl]
  | ^^^^^^^^^^^^ a stage of kind `pretrain` needs `method`

error: missing `patches`
 --> a.toml:8:1
  |
8 | [stages.ssl]
  | ^^^^^^^^^^^^ a stage of kind `pretrain` needs `patches`
  |
  = help: `patches = "…"` names a stage of kind `patchify`
  = note: stages of this kind here: `patches`

error: 3 errors in all
"#;

missing_in_an_inline_table: r#"name = "x"
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
"#, [""; 0] => r#"
error: missing `learning_rate`
  --> a.toml:13:13
   |
13 | optimizer = { nme = "sgd" }
   |             ^^^^^^^^^^^^^^^ `learning_rate` is needed here

error: unknown key `nme`
  --> a.toml:13:15
   |
13 | optimizer = { nme = "sgd" }
   |               ^^^ there is no such key here
   |
   = help: did you mean `name`?
   = note: expected one of `name`, `learning_rate`

error: 2 errors in all
"#;

bad_references_in_a_matrix: r#"name = "x"
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
matrix.method = ["matssl", "densecl"]
[stages.seg]
kind = "finetune"
dataset = "d"
matrix.encoder = ["ssl.matsll", "ssl.*", "patches"]
[[tables]]
file = "t"
rows = ["seg.ssl.matsll", "segg.*"]
"#, [""; 0] => r#"
error: there is no stage `ssl.matsll`
  --> a.toml:16:19
   |
16 | matrix.encoder = ["ssl.matsll", "ssl.*", "patches"]
   |                   ^^^^^^^^^^^^ `encoder` takes a stage of kind `pretrain`
   |
   = help: did you mean `ssl.matssl`?
   = note: stages of this kind here: `ssl`

error: `patches` is of the wrong kind
  --> a.toml:16:42
   |
 5 | [stages.patches]
   |         ------- a stage of kind `patchify`
...
16 | matrix.encoder = ["ssl.matsll", "ssl.*", "patches"]
   |                                          ^^^^^^^^^ `encoder` takes a stage of kind `pretrain`, not `patchify`
   |
   = note: stages of this kind here: `ssl`

error: `segg.*` matches no stage
  --> a.toml:19:27
   |
19 | rows = ["seg.ssl.matsll", "segg.*"]
   |                           ^^^^^^^^ `rows` takes a stage of kind `finetune`
   |
   = help: did you mean `seg.*`?
   = note: stages of this kind here: `seg`

error: 3 errors in all
"#;

several_at_once: r#"name = "x"
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
"#, [""; 0] => r#"
error: unknown key `seed`
 --> a.toml:2:1
  |
2 | seed = [0]
  | ^^^^ an experiment has no such part
  |
  = help: did you mean `seeds`?
  = note: expected one of `name`, `title`, `seeds`, `max_stages`, `extends`, `remove`, `datasets`, `stages`, `tables`, `data_tables`, `figures`, `overlays`

error: unknown value `foldr` for `format`
 --> a.toml:4:10
  |
4 | format = "foldr"
  |          ^^^^^^^
  |
  = help: did you mean `folder`?
  = note: expected one of `metaldam`, `uhcs`, `folder`

error: wrong type for `size`
 --> a.toml:9:8
  |
9 | size = 25.6
  |        ^^^^ expected a whole number, found the number `25.6`

error: unknown key `overlp`
  --> a.toml:10:1
   |
10 | overlp = 0.5
   | ^^^^^^ `patchify` has no such parameter
   |
   = help: did you mean `overlap`?
   = note: expected one of `dataset`, `size`, `overlap`, `use`

error: there is no stage `patchs`
  --> a.toml:13:11
   |
13 | patches = "patchs"
   |           ^^^^^^^^ `patches` takes a stage of kind `patchify`
   |
   = help: did you mean `patches`?
   = note: stages of this kind here: `patches`

error: wrong type for `arch`
  --> a.toml:14:20
   |
14 | encoder = { arch = 18, weights = "x" }
   |                    ^^ expected a string, found the whole number `18`

error: wrong type for `epochs`
  --> a.toml:15:10
   |
15 | epochs = "many"
   |          ^^^^^^ expected a whole number, found the string "many"

error: wrong type for `crop`
  --> a.toml:16:12
   |
16 | crop = [1, "b"]
   |            ^^^ expected a whole number, found the string "b"

error: wrong type for `learning_rate`
  --> a.toml:17:45
   |
17 | optimizer = { name = "sgd", learning_rate = "fast", momentum = 0.9 }
   |                                             ^^^^^^ expected a number, found the string "fast"

error: unknown key `momentum`
  --> a.toml:17:53
   |
17 | optimizer = { name = "sgd", learning_rate = "fast", momentum = 0.9 }
   |                                                     ^^^^^^^^ there is no such key here
   |
   = note: expected one of `name`, `learning_rate`

error: unknown value `matsll` for `method`
  --> a.toml:18:29
   |
18 | matrix.method = ["densecl", "matsll"]
   |                             ^^^^^^^^
   |
   = help: did you mean `matssl`?
   = note: expected one of `densecl`, `mocov2`, `matssl`

error: 11 errors in all
"#;

an_override_with_a_wrong_value: r#"name = "x"
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
"#, ["stages.ssl.epochs=few"] => r#"
error: wrong type for `epochs`
 --> command line:1:25
  |
1 | --set stages.ssl.epochs=few
  |                         ^^^ expected a whole number, found the string "few"
"#;

an_override_of_an_unknown_stage: r#"name = "x"
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
"#, ["stages.sll.epochs=3"] => r#"
error: `stages` has no `sll`
 --> command line:1:14
  |
1 | --set stages.sll.epochs=3
  |              ^^^
  |
  = help: did you mean `ssl`?
  = note: expected one of `patches`, `ssl`
"#;

an_override_without_a_value: r#"name = "x"
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
"#, ["epochs"] => r#"
error: `--set` needs a key and a value
 --> command line:1:7
  |
1 | --set epochs
  |       ^^^^^^ expected `KEY.PATH=VALUE`, as in `stages.ssl.epochs=3`
"#;

an_override_with_an_unknown_key: r#"name = "x"
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
"#, ["stages.ssl.epoch=3", "titel=abc", "stages.ssl.epochs.x=1", "stages.patches.size=[1,"] => r#"
error: unknown key `epoch`
 --> command line:1:18
  |
1 | --set stages.ssl.epoch=3
  |                  ^^^^^ `pretrain` has no such parameter
  |
  = help: did you mean `epochs`?
  = note: expected one of `patches`, `method`, `encoder`, `epochs`, `temperature`, `optimizer`, `crop`

error: unknown key `titel`
 --> command line:1:7
  |
1 | --set titel=abc
  |       ^^^^^ an experiment has no such part
  |
  = help: did you mean `title`?
  = note: expected one of `name`, `title`, `seeds`, `max_stages`, `extends`, `remove`, `datasets`, `stages`, `tables`, `data_tables`, `figures`, `overlays`

error: wrong type for `epochs`
 --> command line:1:18
  |
1 | --set stages.ssl.epochs.x=1
  |                  ^^^^^^ expected a whole number, found a table

error: this is not TOML: unclosed array, expected `]`
 --> command line:1:30
  |
1 | --set stages.patches.size=[1,
  |                              ^

error: 4 errors in all
"#;

control_characters_are_not_passed_on: r#"name = "x"
"\u001b[31mred" = 1
"#, [""; 0] => r#"
error: unknown key `\u{1b}[31mred`
 --> a.toml:2:1
  |
2 | "\u001b[31mred" = 1
  | ^^^^^^^^^^^^^^^ an experiment has no such part
  |
  = note: expected one of `name`, `title`, `seeds`, `max_stages`, `extends`, `remove`, `datasets`, `stages`, `tables`, `data_tables`, `figures`, `overlays`
"#;

}
