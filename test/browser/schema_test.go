package browser

import (
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

// TestConsoleSchemas looks at the versions of a schema and what is different between
// them, and writes another one, which its rule refuses first.
func TestConsoleSchemas(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	server.Publish("orders", "application/json", `{"id":"a"}`)
	for _, text := range []string{
		`{"type":"object","required":["id","total"],"properties":{"id":{"type":"string"},"total":{"type":"integer"}},"additionalProperties":false}`,
		`{"type":"object","required":["id"],"properties":{"id":{"type":"string"},"total":{"type":"integer"},"note":{"type":"string"}},"additionalProperties":false}`,
	} {
		ask(t, server, "PUT", "/v1/topics/orders/schema", `{"schema":`+text+`}`, nil)
	}
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			p := b.open(t, server.URL+"/topics/orders", look.how)
			p.click("text=Schemas")
			p.shows("2, the newest")
			rig.Eventually(t, "what is different", func() bool {
				return p.count("[data-testid=schema] ins") == 4 && p.count("[data-testid=schema] del") == 2
			})
			p.clean()
			p.fits()
			p.shot("schema-" + look.name)
		})
	}
	p := b.open(t, server.URL+"/topics/orders?schema=1", nil)
	p.shows("2, the newest")
	p.click("text=New version")
	p.shows("It fits.")
	p.fill("dialog textarea", `{"type": "object", "required": ["id", "note"]}`)
	p.shows("The rule does not let it through.")
	p.shows("backward of version 2")
	p.accessible()
	p.shot("schema-refused")
	p.fill("dialog textarea", `{"type": "object"`)
	p.shows("Not JSON")
	p.fill("dialog textarea", `{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "total": {"type": "integer"}, "note": {"type": "string"}, "by": {"type": "string"}}, "additionalProperties": false}`)
	p.shows("It fits.")
	p.click("dialog button.primary")
	p.shows("3, the newest")
	p.click("dialog button[aria-label=Close]")
	p.quiet()

	p = b.open(t, server.URL+"/topics/orders?schema=1", nil)
	ask(t, server, "DELETE", "/v1/topics/orders/schema", "", nil)
	p.shows("Its events may be anything")
	p.click("text=Write one")
	p.shows("It fits.")
	p.fill("dialog input[placeholder=all]", "order.made")
	p.shows("It fits.")
	p.click("dialog button.primary")
	p.shows("1, the newest")
	p.accessible()
}
