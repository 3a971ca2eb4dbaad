//! How long the focal length of a picture's camera is.

use percept_core::{Error, Result};
use percept_media::picture::PictureInfo;
use serde::Serialize;

/// What is said of the camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Camera {
    /// The focal length, in pixels of the displayed picture.
    Focal(f32),
    /// The horizontal field of view of the displayed picture, in degrees.
    FieldOfView(f32),
}

/// Where a focal length is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FocalSource {
    /// It was said.
    Given,
    /// The picture's EXIF data have it, as that of a camera with 36 mm x 24 mm film.
    Exif,
    /// The model's estimate.
    Model,
}

/// The focal length in pixels and where it is from.
pub type Focal = (f32, FocalSource);

impl Camera {
    /// # Errors
    /// [`Error::Argument`]: no camera is like this.
    pub fn check(self) -> Result<Self> {
        let wrong = |what: String| Err(Error::argument(format!("{what} is none")));
        match self {
            Self::Focal(pixels) if !(pixels.is_finite() && pixels > 0.0) => {
                wrong(format!("a focal length of {pixels} pixels"))
            }
            Self::FieldOfView(degrees) if !(degrees > 0.0 && degrees < 180.0) => {
                wrong(format!("a field of view of {degrees} degrees"))
            }
            camera => Ok(camera),
        }
    }

    fn focal(self, width: u32) -> f32 {
        match self {
            Self::Focal(pixels) => pixels,
            Self::FieldOfView(degrees) => width as f32 / 2.0 / (degrees.to_radians() / 2.0).tan(),
        }
    }
}

/// What is known before any model looked: what was said, else what the picture's file says.
pub fn known_focal(said: Option<Camera>, info: &PictureInfo) -> Option<Focal> {
    let film = (36.0_f32).hypot(24.0);
    let (width, height) = (info.width as f32, info.height as f32);
    let exif = || info.focal_length_35mm.map(|length| f32::from(length) * width.hypot(height) / film);
    let said = said.map(|camera| (camera.focal(info.width), FocalSource::Given));
    said.or_else(|| exif().map(|pixels| (pixels, FocalSource::Exif)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_angle_is_half_the_width() {
        assert!((Camera::FieldOfView(90.0).focal(640) - 320.0).abs() < 1e-3);
        assert!(Camera::FieldOfView(180.0).check().is_err());
        assert!(Camera::Focal(f32::NAN).check().is_err());
        assert!(Camera::Focal(500.0).check().is_ok());
    }
}
