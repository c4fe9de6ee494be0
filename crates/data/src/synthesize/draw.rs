//! Draws one micrograph and its mask.

use super::blobs::{Shape, scatter};
use super::field::Field;
use super::grains::Grains;
use super::imaging::Imaging;
use super::noise::photograph;
use super::params::SynthesizeParams;
use crate::{Mask, Micrograph, Split};
use matssl_base::random::Stream;
use std::f64::consts::{PI, TAU};

/// The phases, in the order of their mask values.
pub const CLASSES: [&str; 4] = ["matrix", "lamellar", "island", "pore"];
const LAMELLAR: u8 = 1;
const ISLAND: u8 = 2;
const PORE: u8 = 3;

/// The appearance of a grain.
struct Look {
    /// Mean grey value.
    grey: f64,
    lamellae: Option<Lamellae>,
}

/// Parallel plates, cut by the polished surface.
struct Lamellae {
    /// Direction across the plates, times 2π over their spacing.
    wave: (f64, f64),
    phase: f64,
    amplitude: f64,
}

/// Image `index` of `split` (one channel) and its mask. A pure function of its arguments: a set can grow without changing the
/// images that it has.
pub fn synthesize_one(params: &SynthesizeParams, split: Split, index: usize) -> (Micrograph, Mask) {
    let size = params.size;
    let base = Stream::new(params.seed, &format!("synthesize {}", split.name()), 0, index as u64);
    let imaging = Imaging::draw(params.imaging, &mut base.child(6));
    let params = &imaging.magnified(params);
    let grains = Grains::new(size, params.grain, &mut base.child(0));
    let looks = looks(params, &grains, &mut base.child(1));
    let mut texture = base.child(2);
    let fine = Field::new(size, 2.5, &mut texture);
    let wavy = Field::new(size, params.grain / 2.0, &mut texture);

    let mut grey = vec![0.0; size * size];
    let mut labels = vec![0; size * size];
    for (i, (grey, label)) in grey.iter_mut().zip(&mut labels).enumerate() {
        let (x, y) = ((i % size) as f64, (i / size) as f64);
        let point = grains.at(x, y);
        let look = &looks[point.grain];
        *grey = look.grey + 4.0 * fine.at(x, y);
        if let Some(lamellae) = &look.lamellae {
            *label = LAMELLAR;
            let phase = lamellae.wave.0 * x + lamellae.wave.1 * y + lamellae.phase + 0.9 * wavy.at(x, y);
            // Narrow bright plates of cementite on darker ferrite.
            *grey += lamellae.amplitude * (2.0 * (0.5 + 0.5 * phase.sin()).powf(1.7) - 0.75);
        }
        // The etchant makes boundaries dark.
        *grey -= 42.0 * (-(point.to_boundary / 1.3).powi(2)).exp();
    }
    islands(params, &grains, &fine, &base, &mut grey, &mut labels);
    pores(params, &base, &mut grey, &mut labels);
    let pixels = photograph(grey, params, &imaging, &base.child(5));
    (Micrograph { width: size, height: size, channels: 1, pixels }, Mask { width: size, height: size, labels })
}

/// Draws which grains are lamellar (clusters of neighbours, like pearlite) and how each grain looks.
fn looks(params: &SynthesizeParams, grains: &Grains, stream: &mut Stream) -> Vec<Look> {
    let clusters = Field::new(params.size, 2.2 * params.grain, stream);
    let mut affinity: Vec<(f64, usize)> =
        grains.iter().map(|(grain, (x, y))| (clusters.at(x, y) + 0.35 * stream.normal(), grain)).collect();
    affinity.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    // Islands and pores cover a part of them later.
    let lamellar = (affinity.len() as f64 * stream.range(0.20, 0.32)).round() as usize;
    let mut is_lamellar = vec![false; grains.len()];
    for (_, grain) in &affinity[..lamellar] {
        is_lamellar[*grain] = true;
    }
    is_lamellar
        .into_iter()
        .map(|is_lamellar| {
            let tone = stream.normal();
            if !is_lamellar {
                return Look { grey: 118.0 + 11.0 * tone, lamellae: None };
            }
            let spacing = params.grain * stream.range(0.10, 0.17);
            let angle = stream.range(0.0, PI);
            let wave = (TAU / spacing * angle.cos(), TAU / spacing * angle.sin());
            let lamellae = Lamellae { wave, phase: stream.range(0.0, TAU), amplitude: stream.range(22.0, 38.0) };
            Look { grey: 116.0 + 9.0 * tone, lamellae: Some(lamellae) }
        })
        .collect()
}

/// Bright islands, mostly along grain boundaries, mottled inside, with the bright edge of a step in height.
fn islands(
    params: &SynthesizeParams,
    grains: &Grains,
    fine: &Field,
    base: &Stream,
    grey: &mut [f64],
    labels: &mut [u8],
) {
    let mut stream = base.child(3);
    let shape =
        Shape { radius: [0.10 * params.grain, 0.30 * params.grain], stretch: 2.6, roughness: 0.34, harmonics: 4 };
    let share = 0.16 * stream.range(0.75, 1.25);
    let blobs = scatter(params.size, share, &shape, &mut stream, |x, y, stream| {
        // Of a few random points, the one that is nearest to a boundary.
        let tries = (0..4).map(|_| {
            let (x, y) = (x + 0.3 * params.grain * stream.normal(), y + 0.3 * params.grain * stream.normal());
            (grains.at(x, y).to_boundary, x, y)
        });
        tries.min_by(|a, b| a.0.total_cmp(&b.0)).map_or((x, y), |(_, x, y)| (x, y))
    });
    let mottle = Field::new(params.size, 0.07 * params.grain, &mut stream);
    for blob in blobs {
        blob.visit(params.size, 0.0, |i, depth| {
            let (x, y) = ((i % params.size) as f64, (i / params.size) as f64);
            let edge = 16.0 * (-(depth / 1.4).powi(2)).exp();
            grey[i] = 152.0 + 9.0 * blob.shade + 9.0 * mottle.at(x, y) + 4.0 * fine.at(x, y) + edge;
            labels[i] = ISLAND;
        });
    }
}

/// Dark pores with bright rims, which many electrons leave. The rim is drawn around the pore, over what is there.
fn pores(params: &SynthesizeParams, base: &Stream, grey: &mut [f64], labels: &mut [u8]) {
    let mut stream = base.child(4);
    let shape =
        Shape { radius: [0.07 * params.grain, 0.28 * params.grain], stretch: 1.5, roughness: 0.16, harmonics: 3 };
    let share = 0.065 * stream.range(0.6, 1.4);
    let blobs = scatter(params.size, share, &shape, &mut stream, |x, y, _| (x, y));
    for blob in &blobs {
        blob.visit(params.size, 4.0, |i, depth| {
            if depth <= 0.0 {
                grey[i] += 45.0 * (-((depth + 0.5) / 1.5).powi(2)).exp();
            }
        });
    }
    for blob in &blobs {
        blob.visit(params.size, 0.0, |i, depth| {
            // Deeper parts are darker.
            grey[i] = 62.0 + 8.0 * blob.shade - 30.0 * (1.0 - (-depth / 3.0).exp());
            labels[i] = PORE;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_phases_are_within_their_bounds() {
        let params = SynthesizeParams { size: 192, ..SynthesizeParams::default() };
        let mut counts = [0.0; 4];
        for index in 0..12 {
            let (image, mask) = synthesize_one(&params, Split::Train, index);
            assert_eq!((image.pixels.len(), mask.labels.len()), (192 * 192, 192 * 192));
            for &label in &mask.labels {
                counts[usize::from(label)] += 1.0 / (12.0 * 192.0 * 192.0);
            }
        }
        for (share, [low, high]) in counts.iter().zip([[0.48, 0.66], [0.14, 0.27], [0.10, 0.20], [0.04, 0.11]]) {
            assert!((low..high).contains(share), "{counts:?}");
        }
    }

    #[test]
    fn an_image_depends_on_its_split_and_index_alone_and_noise_does_not_change_the_mask() {
        let params = SynthesizeParams { size: 64, ..SynthesizeParams::default() };
        let first = synthesize_one(&params, Split::Train, 0);
        assert_eq!(first, synthesize_one(&SynthesizeParams { train: 99, ..params.clone() }, Split::Train, 0));
        let noisy = SynthesizeParams { noise: 3.0, scratches: 9.0, shading: 0.0, ..params.clone() };
        let noisy = synthesize_one(&noisy, Split::Train, 0);
        assert_eq!(first.1, noisy.1);
        assert_ne!(first.0, noisy.0);
        for other in [synthesize_one(&params, Split::Train, 1), synthesize_one(&params, Split::Test, 0)] {
            assert_ne!(first.1, other.1);
        }
    }

    #[test]
    fn imaging_spreads_brightness_and_contrast_over_the_pictures() {
        let spreads = [0.0, 1.0].map(|imaging| {
            let params = SynthesizeParams { size: 96, imaging, ..SynthesizeParams::default() };
            let moments = (0..16).map(|index| {
                let pixels = synthesize_one(&params, Split::Train, index).0.pixels;
                let count = pixels.len() as f64;
                let mean = pixels.iter().map(|&grey| f64::from(grey)).sum::<f64>() / count;
                let square = pixels.iter().map(|&grey| (f64::from(grey) - mean).powi(2)).sum::<f64>() / count;
                [mean, square.sqrt()]
            });
            let moments: Vec<_> = moments.collect();
            [0, 1].map(|of| {
                let values = moments.iter().map(|moment| moment[of]);
                values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
            })
        });
        assert!((0..2).all(|of| spreads[1][of] > 1.5 * spreads[0][of]), "{spreads:?}");
    }
}
