using Mooring.Audit;
using Mooring.Auth;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Upstreams;
using Mooring.Vault;

namespace Mooring.Sessions;

/// <content>What its client may hear of. What it may do is each request's own (<see cref="Calls.Reply.Access"/>).</content>
internal sealed partial class Session
{
    private Person? _person;
    private string? _auditedAs;
    private SubjectToken? _shown;

    /// <summary>Who used it last, with the groups and roles that were said then; null while nobody did here.</summary>
    public Person? Person
    {
        get => Volatile.Read(ref _person);
        set => Volatile.Write(ref _person, value);
    }

    /// <summary>The token it was last used with, where that can be exchanged: for what its links ask of their own accord.</summary>
    public SubjectToken? Shown
    {
        get => Volatile.Read(ref _shown);
        set => Volatile.Write(ref _shown, value);
    }

    /// <summary>What whoever used it last may do now.</summary>
    public Access Access => Person is { } person ? _services.Policies.Of(person) : Access.Everything;

    /// <summary>Whose its requests are, for the audit log. Of those without sessions each says for itself which client it is of.</summary>
    /// <param name="request">The request; null: the session itself.</param>
    /// <param name="from">With what and from where the request came; nothing where no request of a client did.</param>
    public AuditEntry Audited(Frame? request, AuditOrigin from = default)
    {
        var own = IsKept || request is null ? default : request.ClientMeta.ClientInfo;
        var info = own.IsPresent ? request!.Span(own) : JsonFields.Object(_record.InitializeParams.Span, "clientInfo"u8);
        return new AuditEntry("call", "")
        {
            Issuer = Principal.Issuer,
            User = Principal.Subject,
            Client = JsonFields.String(info, "name"u8),
            Credential = from.Credential,
            Address = from.Address?.ToString(),
            Session = IsKept ? _auditedAs ??= AuditEntry.SessionOf(Id) : null,
        };
    }

    /// <summary>Whether its client is told what a server says of its own accord.</summary>
    public bool MayHear(Upstream upstream) => !Access.Hides(upstream.Name);
}
