namespace Mooring.Configuration;

/// <summary>What of a call's arguments the audit log says.</summary>
public enum AuditArguments
{
    /// <summary>Their SHA-256.</summary>
    Hash,

    /// <summary>The arguments themselves, with what looks like a secret by its name left out.</summary>
    Full,

    None,
}

/// <summary>Where it is noted who did what.</summary>
public sealed record AuditConfig
{
    /// <summary>The file that lines are added to; null: none.</summary>
    public string? File { get; init; }

    /// <summary>Whether each line also goes to the log, category <c>Mooring.Audit</c>.</summary>
    public bool Log { get; init; }

    public AuditArguments Arguments { get; init; } = AuditArguments.Hash;

    /// <summary>Whether a call has a line at its beginning too, so that those of a process that is killed are there.</summary>
    public bool Begun { get; init; }

    /// <summary>At this size the file is set aside under another name, and a new one begun.</summary>
    /// <value>Default 64 MB.</value>
    public long MaxSize { get; init; } = 64 * 1024 * 1024;

    /// <summary>Files set aside that are kept.</summary>
    /// <value>Default 10.</value>
    public int Keep { get; init; } = 10;

    internal bool IsOn => File is not null || Log;
}
