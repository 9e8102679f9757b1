namespace Mooring.Configuration;

/// <summary>The part of the table under <c>audit</c>.</summary>
internal static class AuditSettings
{
    public static readonly ObjectShape<AuditConfig> Audit = new ObjectShape<AuditConfig>(() => new())
        .Add("file", new PathShape(), c => c.File, (c, v) => c with { File = v },
            "File that a line of JSON is added to for each call and each sign-in. One that was moved away, as logrotate does, is begun anew.")
        .Add("log", new BooleanShape(), c => c.Log, (c, v) => c with { Log = v }, "Whether each line also goes to the log, category Mooring.Audit.")
        .Add("arguments", new ChoiceShape<AuditArguments>([new("hash", AuditArguments.Hash), new("full", AuditArguments.Full), new("none", AuditArguments.None)]),
            c => c.Arguments, (c, v) => c with { Arguments = v },
            "What is said of a call's arguments: their SHA-256 (hash), the arguments themselves without values whose names speak of secrets (full), or nothing (none).")
        .Add("begun", new BooleanShape(), c => c.Begun, (c, v) => c with { Begun = v },
            "Whether a call has a line at its beginning too (outcome begun), with a call id that its line at the end repeats: a call of a process that is killed is there then.")
        .Add("maxSize", new SizeShape("64kB", "100GB"), c => c.MaxSize, (c, v) => c with { MaxSize = v }, "At this size the file is set aside under a name with the time, and a new one begun.")
        .Add("keep", new IntegerShape(0, 10_000), c => c.Keep, (c, v) => c with { Keep = v }, "Files set aside that are kept.");
}
