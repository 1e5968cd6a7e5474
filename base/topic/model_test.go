package topic

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

// world is two registries over one log, and what they must know.
type world struct {
	log   *memlog.Log
	nodes []*Registry
	model map[string]Settings
	given map[uint64]string // number → creation
}

// TestRegistryAgainstModel changes topics at random through two registries over
// one log, restarting one now and then: both know what the model knows, and no
// stream number is ever given twice.
func TestRegistryAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := memlog.New(memlog.Options{})
		w := &world{log, []*Registry{newTest(t, log, Options{}), newTest(t, log, Options{})}, map[string]Settings{}, map[uint64]string{}}
		t.Repeat(map[string]func(*rapid.T){
			"create": w.create, "update": w.update, "delete": w.remove, "publish": w.publish, "": w.check,
			"restart": func(t *rapid.T) { w.nodes[1] = newTest(t, log, Options{}) },
		})
	})
}

func (w *world) draw(t *rapid.T) (*Registry, string) {
	return rapid.SampledFrom(w.nodes).Draw(t, "node"), rapid.SampledFrom([]string{"a", "b", "a.b", "c-d"}).Draw(t, "name")
}

func drawSettings(t *rapid.T) Settings {
	s, err := Settings{
		Partitions: rapid.IntRange(0, 3).Draw(t, "partitions"),
		Durability: rapid.SampledFrom([]Durability{"", Fsync, OS, Memory}).Draw(t, "durability"),
	}.Defaults(Settings{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) create(t *rapid.T) {
	r, name := w.draw(t)
	s := drawSettings(t)
	_, err := r.Create(context.Background(), name, s)
	have, there := w.model[name]
	if want := !there || have == s; want != (err == nil) || !want && parley.CodeOf(err) != parley.Exists {
		t.Fatalf("create %s %+v over %+v: %v", name, s, have, err)
	}
	if !there {
		w.model[name] = s
	}
}

func (w *world) update(t *rapid.T) {
	r, name := w.draw(t)
	s := drawSettings(t)
	_, err := r.Update(context.Background(), name, s)
	have, there := w.model[name]
	switch {
	case !there:
		if parley.CodeOf(err) != parley.NotFound {
			t.Fatal(err)
		}
	case s.Partitions < have.Partitions || (s.Durability == Memory) != (have.Durability == Memory):
		if parley.CodeOf(err) != parley.Unprocessable {
			t.Fatal(err)
		}
	case err != nil:
		t.Fatal(err)
	default:
		w.model[name] = s
	}
}

func (w *world) remove(t *rapid.T) {
	r, name := w.draw(t)
	err := r.Delete(context.Background(), name)
	if _, there := w.model[name]; there != (err == nil) {
		t.Fatalf("delete %s: %v", name, err)
	}
	delete(w.model, name)
}

// publish goes to a node that knows the latest: check follows every action.
func (w *world) publish(t *rapid.T) {
	r, name := w.draw(t)
	_, _, err := r.Publish(context.Background(), name, []parley.Event{{Data: []byte("x")}}, PublishOptions{})
	if _, there := w.model[name]; there != (err == nil) {
		t.Fatalf("publish to %s: %v", name, err)
	}
}

func (w *world) check(t *rapid.T) {
	for _, r := range w.nodes {
		if err := r.roll.CatchUp(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	list := w.nodes[0].List()
	if !reflect.DeepEqual(list, w.nodes[1].List()) {
		t.Fatalf("the nodes differ:\n%v\n%v", list, w.nodes[1].List())
	}
	if len(list) != len(w.model)+1 {
		t.Fatalf("%d topics, the model has %d and $topics", len(list), len(w.model))
	}
	for _, topic := range list {
		if topic.Name != TopicsStream && w.model[topic.Name] != topic.Settings {
			t.Fatalf("%s has %+v, want %+v", topic.Name, topic.Settings, w.model[topic.Name])
		}
		for _, p := range topic.Partitions {
			creation := fmt.Sprint(topic.Name, topic.Epoch)
			if was, ok := w.given[p.Number]; ok && was != creation {
				t.Fatalf("number %d was %s and is %s", p.Number, was, creation)
			}
			w.given[p.Number] = creation
			if got, of, ok := w.nodes[1].ByNumber(p.Number); !ok || got != p || of.Name != topic.Name {
				t.Fatalf("ByNumber(%d) = %v %v %t", p.Number, got, of.Name, ok)
			}
		}
	}
}
