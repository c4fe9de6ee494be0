//! Errors that only the kinds here can have, and some as they are shown, to the letter. All others are in the program's
//! `tests/front/errors.txt`, on its own kinds.

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
error: stages take one another in a circle: `a` → `b` → `a`
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
error: stages take one another in a circle: `a` → `a`
  --> a.toml:11:11
   |
11 | encoder = "a"
   |           ^^^ `a` takes itself as an input
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
  | ^^^^^^^^^^^^ `optimizer.name` is not written here
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
  | ^^^^ an experiment file has no such key
  |
  = help: did you mean `seeds`?
  = note: expected one of `name`, `title`, `seeds`, `max_stages`, `extends`, `remove`, `datasets`, `stages`, `tables`, `data_tables`, `figures`, `overlays`, `models`, `files`

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
   = note: expected one of `dataset`, `overlap`, `size`, `use`

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
   = note: expected one of `learning_rate`, `name`

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
}
