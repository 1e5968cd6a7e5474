package stream

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// least counts the partitions that must move: those that nobody has, or whose owner
// is gone, and what somebody has beyond the share that they may keep.
func fewestMoves(members int, parts []share) int {
	have := make([]int, members)
	moves := 0
	for _, p := range parts {
		if p.owner == nobody {
			moves++
		} else {
			have[p.owner]++
		}
	}
	slices.Sort(have)
	slices.Reverse(have)
	for rank, n := range have {
		quota := len(parts) / members
		if rank < len(parts)%members {
			quota++
		}
		moves += max(0, n-quota)
	}
	return moves
}

func moved(before, after []share) (n int) {
	for i := range before {
		if before[i].owner != after[i].owner {
			n++
		}
	}
	return n
}

// When all want the same, shares differ by one at most, and as few partitions move
// as can be.
func TestAlikeSharesAreEvenAndStay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		members, topics := rapid.IntRange(1, 9).Draw(rt, "members"), rapid.IntRange(1, 3).Draw(rt, "topics")
		all := make([]int, members)
		for m := range all {
			all[m] = m
		}
		p := plan{members: members}
		for range topics {
			p.wants = append(p.wants, all)
		}
		for range rapid.IntRange(0, 40).Draw(rt, "partitions") {
			p.parts = append(p.parts, share{rapid.IntRange(0, topics-1).Draw(rt, "topic"), rapid.IntRange(nobody, members-1).Draw(rt, "owner")})
		}
		before := slices.Clone(p.parts)
		p.balance()
		count := make([]int, members)
		for _, s := range p.parts {
			count[s.owner]++
		}
		if slices.Max(count)-slices.Min(count) > 1 {
			rt.Fatalf("shares are %v", count)
		}
		if got, want := moved(before, p.parts), fewestMoves(members, before); got != want {
			rt.Fatalf("%d partitions moved, %d had to", got, want)
		}
	})
}

// Whatever the wishes: nobody gets what they did not ask for, all that is wanted is
// read, and nobody could be relieved by handing partitions on. A second look moves
// nothing.
func TestUnlikeWishes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		members, topics := rapid.IntRange(1, 6).Draw(rt, "members"), rapid.IntRange(1, 5).Draw(rt, "topics")
		p := plan{members: members}
		for range topics {
			var w []int
			for m := range members {
				if rapid.Bool().Draw(rt, "wants") {
					w = append(w, m)
				}
			}
			p.wants = append(p.wants, w)
		}
		for range rapid.IntRange(0, 25).Draw(rt, "partitions") {
			p.parts = append(p.parts, share{rapid.IntRange(0, topics-1).Draw(rt, "topic"), rapid.IntRange(nobody, members-1).Draw(rt, "owner")})
		}
		p.balance()
		for i, s := range p.parts {
			_, wanted := slices.BinarySearch(p.wants[s.topic], s.owner)
			if wanted != (len(p.wants[s.topic]) > 0) {
				rt.Fatalf("partition %d of a topic that %v want belongs to %d", i, p.wants[s.topic], s.owner)
			}
		}
		if m := relievable(&p); m >= 0 {
			rt.Fatalf("member %d could be relieved: %v", m, p.held)
		}
		again := plan{members: members, wants: p.wants, parts: slices.Clone(p.parts)}
		again.balance()
		if n := moved(p.parts, again.parts); n != 0 {
			rt.Fatalf("%d partitions move for nothing", n)
		}
	})
}

// relievable finds a member from which a chain leads to one with two fewer.
func relievable(p *plan) int {
	for from := range p.members {
		seen := map[int]bool{from: true}
		for todo := []int{from}; len(todo) > 0; todo = todo[1:] {
			if len(p.held[todo[0]])+2 <= len(p.held[from]) {
				return from
			}
			for _, part := range p.held[todo[0]] {
				for _, to := range p.wants[p.parts[part].topic] {
					if !seen[to] {
						seen[to] = true
						todo = append(todo, to)
					}
				}
			}
		}
	}
	return -1
}

// The largest group of the most different wishes is shared out in bounded time.
func TestLargestPlanEnds(t *testing.T) {
	const topics = 128
	p := plan{members: MaxMembers, wants: make([][]int, topics)}
	for m := range MaxMembers {
		for k := range 8 {
			at := (m*m + k*k*7) % topics
			if !slices.Contains(p.wants[at], m) {
				p.wants[at] = append(p.wants[at], m)
			}
		}
	}
	for i := range MaxPartitions {
		p.parts = append(p.parts, share{i % topics, i * i % 3})
	}
	began := time.Now()
	p.balance()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	for i, s := range p.parts {
		if _, wanted := slices.BinarySearch(p.wants[s.topic], s.owner); !wanted && len(p.wants[s.topic]) > 0 {
			t.Fatal(fmt.Sprint("partition ", i, " belongs to ", s.owner))
		}
	}
}
