#!/bin/sh
# Makes a small grey WebM of a video: grey.sh VIDEO > OUT.webm
#
# Three processes of ffmpeg work at the same time: one decodes, one filters, and one
# encodes. The pipe fails when any of them does, and says which and why.
exec parley pipe "cat '$1' |
exec --timeout 10m ffmpeg -v error -i - -an -f yuv4mpegpipe - |
exec --timeout 10m ffmpeg -v error -f yuv4mpegpipe -i - -vf hue=s=0,scale=160:-2 -f yuv4mpegpipe - |
exec --timeout 10m ffmpeg -v error -f yuv4mpegpipe -i - -c:v libvpx -b:v 500k -f webm -"
