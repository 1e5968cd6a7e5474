package where

import (
	"fmt"
	"testing"
)

func TestFields(t *testing.T) {
	for text, want := range map[string]string{
		`data.total > 100`: `[[total]] true`, `type == "x" && ext.region == "eu"`: `[] true`,
		`data.a.b > data["c"].d + data.a.b`:   `[[a b] [c d]] true`,
		`data?.a?.b ?? data.c`:                `[[a b] [c]] true`,
		`(data?.a).b == 1`:                    `[[a b]] true`,
		`any(data.items, .price > data.most)`: `[[items] [most]] true`,
		`data.items[0].price > 1`:             `[[items]] true`,
		`data[type] == 1`:                     `[] false`, `len(data) > 1`: `[] false`, `$env["data"].a`: `[] false`,
		`data.a == 1 and data != nil`: `[] false`, `data.`: `[] false`,
	} {
		paths, ok := Fields(text)
		if got := fmt.Sprint(paths, ok); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
