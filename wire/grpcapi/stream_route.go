package grpcapi

import (
	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

func streamRoutes() []door.Route {
	route := func(rpc, name, verb, summary string, errors ...parley.Code) door.Route {
		return door.Route{
			Path: "/parley.v1.Groups/" + rpc, Name: name, Pattern: "stream", Verb: verb, On: "group", Summary: summary,
			Errors: append([]parley.Code{parley.Invalid, parley.NotFound, parley.Unavailable}, errors...),
		}
	}
	list := route("ListGroups", "group-list", "", "List the consumer groups that the caller may use or administer.")
	list.On, list.Errors = "", []parley.Code{parley.Invalid}
	return []door.Route{
		list,
		route("GetGroup", "group-show", "consume", "Show a group: its members, and how far it is in each partition."),
		route("JoinGroup", "group-join", "consume", "Let a member into a group, which it makes if need be, and share the partitions out.", parley.BadCursor, parley.Conflict, parley.Unprocessable, parley.Unsupported, parley.Overloaded, parley.Full, parley.Unknown),
		route("Consume", "group-consume", "consume", "Give a member events by credit, and take its commits and signs of life, over one stream.", parley.BadCursor, parley.Conflict, parley.Unprocessable, parley.Overloaded, parley.Full, parley.Unknown),
		route("CommitGroup", "group-commit", "consume", "Make durable how far a member is.", parley.BadCursor, parley.Conflict, parley.Unprocessable, parley.Full, parley.Unknown),
		route("HeartbeatGroup", "group-heartbeat", "consume", "Give a sign of life while events are worked off.", parley.Conflict),
		route("LeaveGroup", "group-leave", "consume", "Take a member out: its partitions go to the others at once.", parley.Conflict, parley.Full, parley.Unknown),
		route("SeekGroup", "group-seek", "consume", "Move a group to other places; its members begin anew from there.", parley.BadCursor, parley.Trimmed, parley.Unprocessable, parley.Unsupported, parley.Overloaded, parley.Full, parley.Unknown),
		route("DeleteGroup", "group-delete", "admin", "Delete a group with all its places.", parley.Conflict, parley.Full, parley.Unknown),
	}
}
