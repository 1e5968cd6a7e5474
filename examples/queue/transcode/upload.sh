#!/bin/sh
# upload.sh FILE gives a video to the workers of two queues. A file that waits
# already is not given twice.
#
#   parley serve &
#   parley queue work transcode --exec ./transcode.sh --concurrency 2 --timeout 1h --dead-on 65 &
#   parley queue work thumbnail --exec ./thumbnail.sh --timeout 1m --dead-on 65 &
#   ./upload.sh holiday.mp4
set -eu
file=$(realpath "$1")
for queue in transcode thumbnail; do
	parley queue push "$queue" "$file" --unique "$file"
done
