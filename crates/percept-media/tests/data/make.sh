#!/bin/sh
# Makes the sound samples of this folder: Debian 12's flite, sox and ffmpeg (5.1, with libsoxr).
# Run it here; HE-AAC needs the program of make_he_aac.rs, see README.md.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
quiet="ffmpeg -v error -y -bitexact"
exact="-bitexact -map_metadata -1"

# What is said: 1.1 s of speech at 16 kHz, a different level left and right where there are two channels.
flite -voice rms -t "see, hear, know" "$work/said.wav"
sox "$work/said.wav" -r 16000 "$work/base.wav" norm -3 trim 0.1 1.1 fade 0.02
$quiet -i "$work/base.wav" -af "aresample=44100:resampler=soxr:precision=28,pan=stereo|c0=1.2*c0|c1=0.8*c0" \
    -c:a pcm_s24le "$work/stereo.wav"
mono="$quiet -i $work/base.wav -map 0:a"
stereo="$quiet -i $work/stereo.wav -map 0:a"
rate="aresample=resampler=soxr:precision=28"

# The truth: 16 kHz, mono, raw s16le.
$mono -f s16le reference.s16le

# WAVE in every sample format.
$mono -ar 8000 -af $rate $exact -c:a pcm_u8 u8_8k.wav
$mono $exact -c:a pcm_s16le s16_16k.wav
$mono -ar 22050 -af $rate $exact -c:a pcm_s24le s24_22k.wav
$mono -ar 12000 -af $rate $exact -c:a pcm_s32le s32_12k.wav
$mono $exact -c:a pcm_f32le f32_16k.wav
$mono -ar 8000 -af $rate $exact -c:a pcm_f64le f64_8k.wav
$mono -ar 8000 -af $rate $exact -c:a pcm_alaw alaw_8k.wav
$mono -ar 8000 -af $rate $exact -c:a pcm_mulaw mulaw_8k.wav
$mono -ar 8000 -af $rate $exact -c:a adpcm_ima_wav adpcm_8k.wav
$mono -ar 8000 -af "$rate,pan=7.1|FL=0.5*c0|FR=0.5*c0|FC=c0|LFE=0.9*c0|BL=0.2*c0|BR=0.2*c0|SL=0.1*c0|SR=0.1*c0" \
    $exact -c:a pcm_u8 eight_channels.wav
# Ends without sizes in its header, as every pipe does.
$mono -ar 8000 -af $rate $exact -c:a pcm_u8 -f wav - > pipe.wav
# No sound in it.
$mono -t 0 $exact -c:a pcm_s16le no_samples.wav

# Other containers and codecs that are built in.
$stereo $exact -c:a flac -sample_fmt s16 -compression_level 12 stereo_44k.flac
$stereo $exact -c:a libmp3lame -b:a 96k stereo_44k.mp3
$mono $exact -c:a libmp3lame -b:a 32k -write_xing 0 plain_16k.mp3
$stereo $exact -c:a libvorbis -q:a 4 stereo_44k.ogg
$stereo $exact -c:a aac -b:a 96k stereo_44k.m4a
$stereo $exact -c:a aac -b:a 96k -movflags frag_keyframe+empty_moov stereo_44k_fragments.mp4
$stereo $exact -c:a aac -b:a 96k stereo_44k.aac
$mono $exact -c:a alac mono_16k_alac.m4a
$mono $exact -c:a pcm_s16be mono_16k.aiff
$mono $exact -c:a pcm_s16be mono_16k.caf
$stereo $exact -c:a libvorbis -q:a 4 stereo_44k.webm
$stereo $exact -c:a aac -b:a 96k stereo_44k.mkv
$mono $exact -c:a flac mono_16k_flac.mkv
# Pictures before the sound: the sound track is the second one.
$quiet -f lavfi -i "testsrc=size=32x32:rate=5:duration=1.1" -i "$work/base.wav" -map 0:v -map 1:a $exact \
    -c:v mpeg4 -q:v 31 -c:a aac -b:a 48k video.mp4

# Codecs that only FFmpeg (the cargo feature `video`) decodes.
$mono $exact -c:a libopus -b:a 24k mono.opus
$mono $exact -c:a libopus -b:a 24k mono_opus.webm
$stereo $exact -c:a ac3 -b:a 96k stereo_ac3.mkv
$mono $exact -c:a wmav2 -b:a 32k mono.wma
$quiet -i "$work/base.wav" -af "pan=5.1|FC=c0|FL=0.3*c0" -ar 16000 $exact -c:a aac -b:a 64k six_channels.m4a
if [ -n "${MAKE_HE_AAC:-}" ]; then
    $mono -ar 44100 -af $rate -f s16le "$work/base.s16le"
    "$MAKE_HE_AAC" he 44100 < "$work/base.s16le" > he.aac
    "$MAKE_HE_AAC" hev2 44100 < "$work/base.s16le" > he_v2.aac
    $quiet -i he.aac -c copy $exact he.m4a
fi

# What ffmpeg makes of the lossy ones, so that a codec's own noise is no difference.
for file in u8_8k.wav alaw_8k.wav mulaw_8k.wav adpcm_8k.wav eight_channels.wav stereo_44k.mp3 plain_16k.mp3 stereo_44k.ogg \
    stereo_44k.m4a stereo_44k.aac mono.opus he.aac; do
    $quiet -i "$file" -af $rate -ac 1 -ar 16000 -f s16le "$file.s16le"
done
