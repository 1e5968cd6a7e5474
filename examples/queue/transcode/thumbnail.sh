#!/bin/sh
# thumbnail.sh makes FILE.jpg, 160 pixels wide, of the video whose path is on
# standard input.
set -eu
file=$(cat)
test -r "$file" || { echo "no such file: $file" >&2; exit 65; } # see --dead-on
part=$file.$PARLEY_JOB_ID.part
trap 'rm -f "$part"' EXIT
ffmpeg -nostdin -loglevel error -y -i "$file" -frames:v 1 -vf scale=160:-2 -f image2 -c:v mjpeg "$part"
mv "$part" "$file.jpg"
