using System.Collections.Frozen;
using Microsoft.AspNetCore.Http;
using Mooring.Audit;
using Mooring.Auth;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.FrontDoor;

/// <summary>What the endpoints share.</summary>
internal sealed class FrontDoorServices(ConfigStore config, TimeProvider time, StreamTable streams, StreamsMetrics metrics, GraceQueue grace, CallsMetrics calls, StreamPlaces places, Intake intake,
    Peers peers, PolicyTable policies, AuditLog audit, AuditPace pace, ILoggerFactory loggers)
{
    public ConfigStore Config => config;

    public TimeProvider Time => time;

    public StreamTable Streams => streams;

    public GraceQueue Grace => grace;

    public ILogger Logger { get; } = loggers.CreateLogger("Mooring.FrontDoor");

    public CallsMetrics Calls => calls;

    public Intake Intake => intake;

    public Peers Peers => peers;

    /// <summary>This process, in the records of the calls it runs.</summary>
    public string Replica => peers.Name;

    public EventStream NewStream(Session session, StreamKind kind) => new(
        EventId.NewStream(kind == StreamKind.Get), kind, session.Log, metrics, session.Version.HasResumption() && !session.IsLegacySse,
        config.Current.Streams.Buffer);

    /// <summary>A stream that an earlier request, or an earlier process, opened.</summary>
    /// <param name="session">Whose it is.</param>
    /// <param name="record">What the store knows of it.</param>
    /// <param name="shown">Up to where the client has it.</param>
    /// <param name="last">Up to where the log has it.</param>
    /// <param name="isTheirs">Whether another replica writes it.</param>
    /// <param name="known">What its events are known by, where this process goes on with what another wrote.</param>
    public EventStream KnownStream(Session session, StreamRecord record, long shown, long last, bool isTheirs = false, IReadOnlySet<string>? known = null) => new(
        record.StreamId, record.Kind, session.Log, metrics, resumable: true, config.Current.Streams.Buffer, Math.Max(shown, last))
    { IsTheirs = isTheirs, Known = known ?? FrozenSet<string>.Empty };

    /// <summary>Takes a place for one more stream; <see cref="CloseStream"/> gives it back.</summary>
    /// <returns>Null when it is taken, else which limit is reached.</returns>
    public async ValueTask<PlaceRefusal?> TryOpenStreamAsync(Session session)
    {
        var most = config.Current.Limits.Streams;
        if (streams.Count >= most)
        {
            return new PlaceRefusal($"The gateway has {most} streams open (limits.streams).", 30);
        }

        if (await places.TakeAsync(session.Principal) is { } refusal)
        {
            return refusal;
        }

        session.Connected();
        return null;
    }

    public void CloseStream(Session session)
    {
        places.GiveBack(session.Principal);
        session.Disconnected();
    }

    /// <summary>What whoever makes a request may do; the session notes who that is.</summary>
    public Access AccessOf(HttpContext context, Session session)
    {
        var person = Person.Of(context);
        session.Person = person;
        session.Shown = Caller.ShownBy(context);
        return policies.Of(person);
    }

    /// <summary>A request that goes no further is noted like one that does.</summary>
    public void NoteRefused(HttpContext context, Session session, Frame request, string? server, string outcome)
    {
        if (audit.IsOn && AuditedCall.IsNoted(request.Method))
        {
            new AuditedCall(audit, request, session.Audited(request, Caller.OriginOf(context))) { Server = server }.End(outcome);
        }
    }

    /// <summary>A request to a server of which its caller may use nothing: it is not read, so what it wanted is not known.</summary>
    public void NoteDenied(HttpContext context, string server)
    {
        if (audit.IsOn && Person.Of(context) is var person && pace.TryTake($"denied {server}", $"{person.Issuer} {person.Subject}", out var leftOut))
        {
            audit.Write(new AuditEntry("call", "denied")
            {
                Issuer = person.Issuer,
                User = person.Subject,
                Credential = Caller.OriginOf(context).Credential,
                Server = server,
                Address = context.Connection.RemoteIpAddress?.ToString(),
                Reason = AuditPace.Say(leftOut),
            });
        }
    }

    /// <summary>What counts for the client of a request, where no session says who it is.</summary>
    public ClientTraits TraitsOf(HttpContext context) => ClientProfiles.Of(config.Current).OfAgent(context.Request.Headers.UserAgent);

    /// <summary>Whether the client of a request is gone.</summary>
    public bool HasLeft(HttpContext context) => context.RequestAborted.IsCancellationRequested;
}
