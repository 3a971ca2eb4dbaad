//! Poses as the bytes of files.

use percept_core::coco::Coco;
use percept_core::pose::{Image, Poses};
use percept_core::{Error, Result};
use percept_media::draw::skeletons;
use percept_media::picture;
use percept_pose::format::{CSV_HEADER, csv, openpose, push_coco};

use super::Format;
use crate::output::{Rendered, json};

/// One picture's poses on their way to files.
pub struct Answers<'a> {
    poses: &'a Poses,
    image: &'a Image,
    file_name: &'a str,
}

impl<'a> Answers<'a> {
    /// Of a displayed picture that is called `file_name`.
    pub fn new(poses: &'a Poses, image: &'a Image, file_name: &'a str) -> Self {
        Self { poses, image, file_name }
    }

    /// The bytes of a format; [`Format::Json`] is an envelope around [`super::PoseRecord`], which the caller makes.
    ///
    /// # Errors
    /// [`Error::Argument`]: the format cannot hold the result.
    pub fn render(&self, format: Format) -> Result<Rendered> {
        Ok(Rendered::File(match format {
            Format::Json => return Err(Error::argument("this format is settled elsewhere")),
            Format::Png => picture::encode_png(&skeletons(self.image, self.poses))?,
            Format::Coco => {
                let mut coco = Coco::default();
                push_coco(&mut coco, self.file_name, self.poses);
                json(&coco)?
            }
            Format::Csv => format!("{CSV_HEADER}{}", csv(self.file_name, self.poses)).into_bytes(),
            Format::OpenPose => json(&openpose(self.poses)?)?,
        }))
    }
}
