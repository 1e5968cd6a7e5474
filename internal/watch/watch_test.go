package watch

import "testing"

func fired(w *Wait[int]) bool {
	select {
	case <-w.Ready():
		return true
	default:
		return false
	}
}

func TestWake(t *testing.T) {
	var l List[int]
	early, late := New[int](1), New[int](1)
	early.Enter(&l, 3)
	late.Enter(&l, 5)
	if l.Wake(3); fired(early) {
		t.Error("woken by what it has read")
	}
	if l.Wake(4); !fired(early) || fired(late) || l.Len() != 1 {
		t.Error("not exactly the one who waits below the end was woken")
	}
	if l.WakeAll(); !fired(late) || l.Len() != 0 {
		t.Error("somebody is left")
	}
}

// A Wait fires once, whatever happens at its other places, and leaves nothing.
func TestLeave(t *testing.T) {
	var a, b List[int]
	w, other := New[int](3), New[int](1)
	w.Enter(&a, 1)
	w.Enter(&b, 1)
	other.Enter(&b, 9)
	w.Enter(&b, 2)
	a.Wake(2)
	b.Wake(3)
	if !fired(w) || fired(w) {
		t.Error("it did not fire just once")
	}
	if w.Leave(); a.Len() != 0 || b.Len() != 1 || fired(other) {
		t.Errorf("%d and %d are left", a.Len(), b.Len())
	}
}
