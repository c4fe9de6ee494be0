//! Checks candle's operations that losses of SSL methods use: casts, sums, matrix products.

use super::numbers::{Numbers, relative_error, wide};
use super::step::{Say, open};
use crate::nn::ops::gpu;
use crate::nn::{DeviceName, Precision};
use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};

/// Number of terms in each element of a matrix product.
const INNER: usize = 333;

pub(super) fn check(name: DeviceName, say: Say<'_>) -> Result<String> {
    let device = open(name, Precision::Float32)?;
    let mut faults = Vec::new();
    let mut judge = |what: &str, error: f64, limit: f64| {
        say(&format!("{what}: relative error {error:.1e} (limit {limit:.1e})"));
        if error.is_nan() || error > limit {
            faults.push(format!("{what}: relative error {error:.1e} (limit {limit:.1e})"));
        }
    };
    let tensor =
        |shape: &[usize], index| Numbers::new(&Device::Cpu, DType::F64, Precision::Float32).tensor(shape, index);
    let (a, b) = (tensor(&[65, INNER], 0)?, tensor(&[INNER, 47], 1)?);
    for dtype in [DType::F64, DType::F32, DType::BF16] {
        // All numbers are exact in bfloat16.
        let there = a.to_device(&device)?.to_dtype(dtype)?;
        judge(&format!("cast to {dtype:?} and back"), relative_error(&wide(&there.to_dtype(DType::F64)?)?, &a)?, 0.0);
    }
    for (dtype, limit) in [(DType::F64, 1e-13), (DType::F32, 1e-5)] {
        let there = a.to_device(&device)?.to_dtype(dtype)?;
        judge(&format!("sum in {dtype:?}"), relative_error(&wide(&there.sum_all()?)?, &a.sum_all()?)?, limit);
        let (found, truth) = (wide(&there.sum_keepdim(1)?)?, a.sum_keepdim(1)?);
        judge(&format!("sums of rows in {dtype:?}"), relative_error(&found, &truth)?, limit);
    }
    let truth = a.matmul(&b)?;
    let mut product = |what: &str, dtype: DType, limit: f64| -> Result<()> {
        let on = |tensor: &Tensor| tensor.to_device(&device)?.to_dtype(dtype);
        judge(what, relative_error(&wide(&on(&a)?.matmul(&on(&b)?)?)?, &truth)?, limit);
        Ok(())
    };
    product("matrix product in float64", DType::F64, 1e-14)?;
    product("matrix product in float32", DType::F32, 1e-6)?;
    if gpu::find(&device)?.is_some() && name != DeviceName::Cpu {
        open(name, Precision::Tf32)?;
        product("matrix product in TF32", DType::F32, 1e-3)?;
        open(name, Precision::Float32)?;
    }
    ensure!(faults.is_empty(), "{}", faults.join("; "));
    Ok("casts, sums and products".into())
}
