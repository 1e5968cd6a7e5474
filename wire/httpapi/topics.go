package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"sort"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/wire/door"
)

// TopicInfo is a topic as the API shows it.
type TopicInfo struct {
	Name     string          `json:"name"`
	Settings json.RawMessage `json:"settings"`
	Created  time.Time       `json:"created,omitzero"`
	// Window is how long a repeated publish is recognised.
	Window     WindowInfo      `json:"idempotency_window"`
	Partitions []PartitionInfo `json:"partitions,omitempty"`
	Events     int64           `json:"events"`
	Bytes      int64           `json:"bytes"`
}

// topicSettings documents the members of a topic's settings, which topic.Settings
// reads and writes by itself.
type topicSettings struct {
	Partitions int    `json:"partitions,omitempty"`
	Durability string `json:"durability,omitempty"`
	MaxAge     string `json:"max_age,omitempty"`
	MaxBytes   int64  `json:"max_bytes,omitempty"`
	MaxEvent   int    `json:"max_event,omitempty"`
	PollHint   string `json:"poll_hint,omitempty"`
	// Compact keeps the newest event of each key, for ever unless max_age says
	// otherwise; lag and age are for it.
	Compact      bool   `json:"compact,omitempty"`
	CompactLag   string `json:"compact_lag,omitempty"`
	TombstoneAge string `json:"tombstone_age,omitempty"`
}

// WindowInfo bounds the idempotency window: the shorter of the two.
type WindowInfo struct {
	For  string `json:"for"`
	Keys int    `json:"keys"`
}

// PartitionInfo is one stream of a topic.
type PartitionInfo struct {
	Partition int             `json:"partition"`
	Earliest  parley.Position `json:"earliest"`
	End       parley.Position `json:"end"`
	Events    int64           `json:"events"`
	Bytes     int64           `json:"bytes"`
	Oldest    time.Time       `json:"oldest,omitzero"`
}

// TopicList is a page of topics.
type TopicList struct {
	Topics []TopicInfo `json:"topics"`
	Next   string      `json:"next,omitempty"` // for ?after= of the next page
}

func (a *API) topicRoutes() []door.Route {
	return []door.Route{
		{
			Method: http.MethodGet, Path: "/v1/topics", Name: "topic-list", Summary: "List the topics that the caller may read.",
			Answer: TopicList{}, Errors: []parley.Code{parley.Invalid, parley.Unavailable}, Handle: a.topicList,
			Params: []door.Param{
				{Name: "after", In: "query", Type: "string", Description: "begin after this name: `next` of the page before"},
				{Name: "limit", In: "query", Type: "integer", Default: "100", Description: "topics a page, at most 1000"},
				{Name: "internal", In: "query", Type: "boolean", Default: "false", Description: "also the server's own topics"},
			},
			Example: `curl http://127.0.0.1:7275/v1/topics`,
		},
		{
			Method: http.MethodGet, Path: "/v1/topics/{topic}", Name: "topic-show", Summary: "Show one topic.",
			Verb: "read", On: "topic", Answer: TopicInfo{}, Errors: []parley.Code{parley.NotFound, parley.Unavailable}, Handle: a.topicShow,
			Example: `curl http://127.0.0.1:7275/v1/topics/orders`,
		},
		{
			Method: http.MethodPut, Path: "/v1/topics/{topic}", Name: "topic-put", Summary: "Create a topic, or change its settings.",
			Verb: "manage", On: "topic", Answer: TopicInfo{}, Request: topicSettings{}, Errors: []parley.Code{parley.Invalid, parley.Unprocessable, parley.TooLarge, parley.Unsupported, parley.Timeout, parley.Overloaded, parley.Unavailable, parley.Full, parley.Unknown}, Handle: a.topicPut,
			Example: `curl -X PUT -d '{"partitions": 4, "max_age": "24h"}' http://127.0.0.1:7275/v1/topics/orders`,
		},
		{
			Method: http.MethodDelete, Path: "/v1/topics/{topic}", Name: "topic-delete", Summary: "Delete a topic with all its events.",
			Verb: "manage", On: "topic", Status: http.StatusNoContent, Errors: []parley.Code{parley.Invalid, parley.NotFound, parley.Unavailable, parley.Full, parley.Unknown}, Handle: a.topicDelete,
			Example: `curl -X DELETE http://127.0.0.1:7275/v1/topics/orders`,
		},
	}
}

func (a *API) topicList(c *door.Call) error {
	if c.Who.Anonymous && len(c.Who.Scopes) == 0 {
		return c.Allow("read", "") // who may read nothing is told so, not that there is nothing
	}
	q := c.Query
	limit := 100
	if q.Has("limit") {
		text, err := param(q, "limit")
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return parley.BadField("limit", "not a number from 1 to 1000", "send how many topics a page may have")
		}
		limit = n
	}
	internal, err := boolParam(q, "internal")
	if err != nil {
		return err
	}
	after, err := param(q, "after")
	if err != nil {
		return err
	}
	all := a.opt.Topics.List()
	start := sort.Search(len(all), func(i int) bool { return all[i].Name > after })
	out := TopicList{Topics: []TopicInfo{}}
	for _, t := range all[start:] {
		if topic.IsInternal(t.Name) && !internal || c.Allow("read", t.Name) != nil {
			continue
		}
		if len(out.Topics) == limit {
			out.Next = out.Topics[limit-1].Name
			break
		}
		info, err := a.topicInfo(c, t)
		if err != nil {
			return err
		}
		info.Partitions = nil // in topic-show
		out.Topics = append(out.Topics, info)
	}
	return answerJSON(c.W, http.StatusOK, out)
}

func (a *API) topicShow(c *door.Call) error {
	t, err := a.opt.Topics.Get(c.R.PathValue("topic"))
	if err != nil {
		return err
	}
	info, err := a.topicInfo(c, t)
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, info)
}

func (a *API) topicInfo(c *door.Call, t topic.Topic) (TopicInfo, error) {
	settings, err := json.Marshal(t.Settings)
	if err != nil {
		return TopicInfo{}, err
	}
	info := TopicInfo{Name: t.Name, Settings: settings, Created: t.Created, Window: WindowInfo{For: parley.OnceWindow.String(), Keys: parley.OnceKeys}}
	for i, p := range t.Partitions {
		s, err := a.opt.Hub.Stats(c.Context(), p.Stream)
		if err != nil {
			return TopicInfo{}, err
		}
		info.Events += s.Events
		info.Bytes += s.Bytes
		info.Partitions = append(info.Partitions, PartitionInfo{Partition: i, Earliest: s.Earliest, End: s.End, Events: s.Events, Bytes: s.Bytes, Oldest: s.Oldest})
	}
	return info, nil
}

// topicPut creates the topic with the settings given, or changes those of them
// that it has otherwise: what the body leaves out stays as it is.
func (a *API) topicPut(c *door.Call) error {
	body, err := a.read(c)
	if err != nil {
		return err
	}
	defer body.free()
	name, status := c.R.PathValue("topic"), http.StatusOK
	t, err := a.updateTopic(c, name, body.Bytes())
	if parley.CodeOf(err) == parley.NotFound {
		status = http.StatusCreated
		t, err = a.createTopic(c, name, body.Bytes())
	}
	if parley.CodeOf(err) == parley.Exists { // somebody was faster
		status = http.StatusOK
		t, err = a.updateTopic(c, name, body.Bytes())
	}
	if err != nil {
		return err
	}
	info, err := a.topicInfo(c, t)
	if err != nil {
		return err
	}
	return answerJSON(c.W, status, info)
}

func (a *API) createTopic(c *door.Call, name string, body []byte) (topic.Topic, error) {
	var settings topic.Settings
	if err := settingsOf(body, &settings); err != nil {
		return topic.Topic{}, err
	}
	return a.opt.Topics.Create(c.Context(), name, settings)
}

func (a *API) updateTopic(c *door.Call, name string, body []byte) (topic.Topic, error) {
	have, err := a.opt.Topics.Get(name)
	if err != nil {
		return topic.Topic{}, err
	}
	settings := have.Settings
	if err := settingsOf(body, &settings); err != nil {
		return topic.Topic{}, err
	}
	return a.opt.Topics.Update(c.Context(), name, settings)
}

func settingsOf(body []byte, into *topic.Settings) error {
	if len(body) == 0 {
		return nil
	}
	err := json.Unmarshal(body, into)
	var e *parley.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return parley.BadField("body", err.Error(), `send a JSON object such as {"partitions": 4}`)
}

func (a *API) topicDelete(c *door.Call) error {
	if err := a.opt.Topics.Delete(c.Context(), c.R.PathValue("topic")); err != nil {
		return err
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}
