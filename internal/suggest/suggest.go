// Package suggest finds what somebody probably meant to write.
package suggest

// Closest gives the candidate that is the fewest edits away from word, where an
// edit adds, removes or changes a letter or swaps two neighbours; "" when none is
// near enough to be meant: more than a third of the letters would have to change.
// Of several equally near the first counts.
func Closest(word string, candidates []string) string {
	best, distance := "", len(word)/3+1
	if len(word) > 64 {
		return "" // nothing of ours is that long
	}
	for _, c := range candidates {
		if d := edits(word, c); d <= distance && (best == "" || d < distance) {
			best, distance = c, d
		}
	}
	return best
}

// edits is the optimal string alignment distance in bytes.
func edits(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
