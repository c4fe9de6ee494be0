//! Seconds of one pass of DINOv2's ViT-S/14 with random weights, frozen, for each line on standard input:
//! `vit_speed BATCH SIDE [ARCH]`. `benches/predict/vit_speed.py` runs it beside PyTorch.

use candle_core::{DType, Device, Result, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::{Mode, Parameters, Tape};
use matssl_train::networks::{Encoder, EncoderConfig};
use std::io::BufRead;
use std::time::Instant;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(default);
    let (batch, side) = (number(0, 4), number(1, 518));
    let arch = words.get(2).map_or("dinov2-small", String::as_str);
    let config = EncoderConfig::read(serde_json::json!({ "arch": arch })).map_err(candle_core::Error::msg)?;
    let encoder = Encoder::new(config);
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    encoder.init(&mut parameters, "", &Stream::new(0, "speed", 0, 0))?;
    let mut stream = Stream::new(1, "speed", 0, 0);
    let pixels: Vec<f32> = (0..batch * side * side * 3).map(|_| stream.normal() as f32).collect();
    let x = Tensor::from_vec(pixels, (batch, side, side, 3), &Device::Cpu)?;
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        let tape = Tape::new(&parameters, Mode::Eval);
        let map = encoder.deepest(&tape, "", &tape.input(&x)?)?;
        let first: f32 = map.tensor().flatten_all()?.get(0)?.to_scalar()?;
        println!("{} {first}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
