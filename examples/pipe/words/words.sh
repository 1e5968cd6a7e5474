#!/bin/sh
# Counts the words of a text with stages over lines: words.sh FILE
exec parley pipe "cat '$1' | exec tr A-Z a-z | exec tr -cs \"a-z'\" '\\n' | grep '[a-z]' | sort | uniq -c | sort -k 1,1nr -k 2,2 | head -n 10"
