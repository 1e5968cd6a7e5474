#!/bin/sh
# transcode.sh makes FILE.webm of the video whose path is on standard input. What
# it writes gets its name only when it is whole: after a crash the next attempt
# begins anew, and nobody sees half a video.
set -eu
file=$(cat)
test -r "$file" || { echo "no such file: $file" >&2; exit 65; } # see --dead-on
part=$file.$PARLEY_JOB_ID.part
trap 'rm -f "$part"' EXIT
ffmpeg -nostdin -loglevel error -y -i "$file" -c:v libvpx -b:v 500k -an -f webm "$part"
mv "$part" "$file.webm"
