package stream

import (
	"cmp"
	"slices"
)

// plan shares partitions out among members: each partition to one member that
// wants its topic, if there is one; as evenly as their wishes allow; and, of all
// such ways, one that moves few partitions away from who has them. If all members
// want the same topics, their shares differ by one at most, and no partition moves
// that need not.
type plan struct {
	members int
	wants   [][]int // by topic: the members that want it, ascending
	parts   []share

	held [][]int // by member: indexes of parts

	// Of the search under way: stamps that equal round are of it.
	round int
	came  []hop // by member: how the search came there
	seen  []int // by member: stamps
	asked []int // by topic: stamps
}

// share is a partition; topic and owner are indexes, and owner is −1 for nobody.
type share struct{ topic, owner int }

const nobody = -1

// work bounds what balancing uneven wishes may cost, in looks at a member: it
// ends with a share that is less even than it could be, and no sooner than a group
// of some hundred members with as many different wishes.
const work = 5_000_000

// balance decides the owners.
func (p *plan) balance() {
	p.held = make([][]int, p.members)
	var free []int
	for i := range p.parts {
		s := &p.parts[i]
		if _, wanted := slices.BinarySearch(p.wants[s.topic], s.owner); !wanted {
			s.owner = nobody
			if len(p.wants[s.topic]) > 0 {
				free = append(free, i)
			}
			continue
		}
		p.held[s.owner] = append(p.held[s.owner], i)
	}
	if p.uniform() {
		p.level(free)
		return
	}
	// Topics that few want come first: the others can go elsewhere.
	slices.SortStableFunc(free, func(a, b int) int {
		return cmp.Compare(len(p.wants[p.parts[a].topic]), len(p.wants[p.parts[b].topic]))
	})
	for _, i := range free {
		p.give(i, p.least(p.wants[p.parts[i].topic]))
	}
	p.even()
}

func (p *plan) give(part, to int) {
	p.parts[part].owner = to
	p.held[to] = append(p.held[to], part)
}

func (p *plan) least(of []int) int {
	return slices.MinFunc(of, func(a, b int) int { return cmp.Compare(len(p.held[a]), len(p.held[b])) })
}

// uniform says that every topic that somebody wants is wanted by all.
func (p *plan) uniform() bool {
	for _, w := range p.wants {
		if len(w) != 0 && len(w) != p.members {
			return false
		}
	}
	return true
}

// level gives everybody the same share: who has most keeps the one that is left
// over.
func (p *plan) level(free []int) {
	total := len(free)
	order := make([]int, p.members)
	for m := range order {
		order[m] = m
		total += len(p.held[m])
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(p.held[b]), len(p.held[a])) })
	quota := func(rank int) int {
		if rank < total%p.members {
			return total/p.members + 1
		}
		return total / p.members
	}
	for rank, m := range order {
		if n := quota(rank); len(p.held[m]) > n {
			free = append(free, p.held[m][n:]...)
			p.held[m] = p.held[m][:n]
		}
	}
	for rank, m := range order {
		for n := quota(rank); len(p.held[m]) < n; free = free[1:] {
			p.give(free[0], m)
		}
	}
}

// even moves partitions, along chains of members if need be, from who has more to
// who has at least two fewer, until nobody can.
func (p *plan) even() {
	left := work
	p.came, p.seen, p.asked = make([]hop, p.members), make([]int, p.members), make([]int, len(p.wants))
	order := make([]int, p.members)
	for m := range order {
		order[m] = m
	}
	for again := true; again && left > 0; {
		again = false
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(p.held[b]), len(p.held[a])) })
		for _, m := range order {
			for p.relieve(m, &left) {
				again = true
			}
		}
	}
}

// hop is how a search came to a member: by a partition of another.
type hop struct{ from, part int }

// relieve takes one partition from a member, if somebody with at least two fewer
// can be reached: it passes one on to a second, which passes one on, and so forth,
// over as few members as possible.
func (p *plan) relieve(from int, left *int) bool {
	p.round++
	p.came[from], p.seen[from] = hop{nobody, nobody}, p.round
	for level := []int{from}; len(level) > 0 && *left > 0; {
		var next []int
		best := nobody
		for _, m := range level {
			for _, part := range p.held[m] {
				topic := p.parts[part].topic
				if p.asked[topic] == p.round {
					continue // whoever wants it was found already
				}
				p.asked[topic] = p.round
				*left -= len(p.wants[topic])
				for _, to := range p.wants[topic] {
					if p.seen[to] == p.round {
						continue
					}
					p.came[to], p.seen[to] = hop{m, part}, p.round
					next = append(next, to)
					if len(p.held[to])+2 <= len(p.held[from]) && (best == nobody || len(p.held[to]) < len(p.held[best])) {
						best = to
					}
				}
			}
		}
		*left -= len(level)
		if best != nobody {
			p.pass(best)
			return true
		}
		level = next
	}
	return false
}

// pass moves one partition along each hop of the way to a member.
func (p *plan) pass(to int) {
	for s := p.came[to]; s.from != nobody; to, s = s.from, p.came[s.from] {
		i := slices.Index(p.held[s.from], s.part)
		p.held[s.from] = slices.Delete(p.held[s.from], i, i+1)
		p.give(s.part, to)
	}
}
