//! The image processors of transformers, as their classes have them without arguments.

use serde_json::{Value, json};

/// The defaults of a class, as `preprocessor_config.json` would state them; `None` for a class that is not known.
///
/// `class` may be the name of a predecessor: `...FeatureExtractor`, or with `Fast` or `Pil` at its end.
pub(super) fn defaults(class: &str) -> Option<Value> {
    let name = ["Fast", "Pil"].iter().find_map(|end| class.strip_suffix(end)).unwrap_or(class);
    let name = name.strip_suffix("ImageProcessor").or_else(|| name.strip_suffix("FeatureExtractor"))?;
    let own = match name {
        "Sam" => json!({"size": {"longest_edge": 1024}, "do_pad": true, "pad_size": [1024, 1024]}),
        "Sam2" => json!({"size": [1024, 1024]}),
        "Eomt" => json!({
            "size": {"shortest_edge": 640, "longest_edge": 640}, "default_to_square": false,
            // It pads to its size, and before it normalises.
            "pads_bytes_to_size": true,
        }),
        "Mask2Former" | "MaskFormer" => json!({
            "size": {"shortest_edge": 800, "longest_edge": 1333}, "default_to_square": false, "size_divisor": 32,
        }),
        "RTDetr" => json!({"size": [640, 640], "do_normalize": false}),
        "Segformer" => json!({"size": [512, 512]}),
        "ViT" => json!({"size": [224, 224], "image_mean": HALF, "image_std": HALF}),
        "CLIP" => json!({
            "size": {"shortest_edge": 224}, "default_to_square": false, "resample": 3,
            "do_center_crop": true, "crop_size": [224, 224],
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
        }),
        "Blip" => json!({
            "size": [384, 384], "resample": 3,
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
        }),
        "DeiT" => json!({
            "size": [256, 256], "resample": 3, "do_center_crop": true, "crop_size": [224, 224],
            "image_mean": HALF, "image_std": HALF,
        }),
        "DPT" => json!({
            "size": [384, 384], "resample": 3, "image_mean": HALF, "image_std": HALF,
            "ensure_multiple_of": 1, "keep_aspect_ratio": false,
        }),
        "DepthPro" => json!({
            "size": [1536, 1536], "image_mean": HALF, "image_std": HALF,
            // It normalises before it resizes, which it does without antialiasing.
            "resizes_values": true,
        }),
        "ZoeDepth" => json!({
            "size": [384, 512], "image_mean": HALF, "image_std": HALF,
            "ensure_multiple_of": 1.0 / 32.0, "keep_aspect_ratio": true, "do_pad": true,
            // It rescales, reflects the picture around itself, and resizes so that corners meet.
            "resizes_values": true, "reflects": true, "aligns_corners": true,
        }),
        "Detr" | "ConditionalDetr" | "DeformableDetr" | "GroundingDino" => json!({
            "size": {"shortest_edge": 800, "longest_edge": 1333}, "default_to_square": false,
        }),
        // What it does to a crop; who cuts the crops from the picture knows their size.
        "VitPose" => json!({"do_resize": false}),
        "Yolos" => json!({
            "size": {"shortest_edge": 800, "longest_edge": 1333}, "default_to_square": false,
            "rounds_sizes_down_to": 16,
        }),
        "RfDetr" => json!({
            "size": {"shortest_edge": 800, "longest_edge": 1333}, "default_to_square": false,
            // It rescales before it resizes, which it does without antialiasing.
            "resizes_values": true,
        }),
        _ => return None,
    };
    let mut all = json!({
        "do_resize": true, "default_to_square": true, "resample": 2,
        "do_rescale": true, "rescale_factor": 1.0 / 255.0,
        "do_normalize": true, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    });
    for (key, value) in own.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    Some(all)
}

/// `IMAGENET_STANDARD_MEAN` and `IMAGENET_STANDARD_STD`.
const HALF: [f64; 3] = [0.5; 3];
