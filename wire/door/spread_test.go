package door

import (
	"testing"
	"testing/synctest"
	"time"
)

// leaver notes when it was told to leave, and leaves.
type leaver struct {
	lives *Lives
	at    time.Time
	times int
}

func (l *leaver) Drain() {
	l.at = time.Now()
	l.times++
	l.lives.Leave(l)
}

// However many there are, each is told once, the first at once and the last
// within the window, and no hundredth of it takes more than its share.
func TestDrainIsSpread(t *testing.T) {
	const window = 10 * time.Second
	for _, n := range []int{0, 1, 2, 3, 99, 100, 101, 1000, 12345} {
		synctest.Test(t, func(t *testing.T) {
			lives, all := NewLives(), make([]leaver, n)
			for i := range all {
				all[i].lives = lives
				lives.Enter(&all[i])
			}
			began := time.Now()
			if err := lives.Drain(t.Context(), window); err != nil {
				t.Fatal(err)
			}
			steps := map[time.Duration]int{}
			for i := range all {
				if all[i].times != 1 {
					t.Fatalf("of %d, one is told %d times", n, all[i].times)
				}
				steps[all[i].at.Sub(began)]++
			}
			for after, told := range steps {
				if after > window || told > n/100+1 {
					t.Errorf("of %d, %d are told after %s", n, told, after)
				}
			}
			if n > 0 && steps[0] == 0 {
				t.Errorf("of %d, none is told at once", n)
			}
		})
	}
}
