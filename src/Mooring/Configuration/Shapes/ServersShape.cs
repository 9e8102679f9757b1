using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary><c>mcpServers</c>: reads the entries and finds out how each server is reached.</summary>
internal sealed class ServersShape : Shape<IReadOnlyList<ServerConfig>>
{
    private static readonly MapShape<ServerDraft> Entries =
        new(ServerSettings.Server, StringComparer.Ordinal, CheckName);

    public static string? CheckName(string name) => name.Length switch
    {
        0 => "is an empty name.",
        > 128 => "is longer than 128 characters.",
        _ => name.Any(char.IsControl) ? "holds control characters." : null,
    };

    public override bool TryRead(
        ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out IReadOnlyList<ServerConfig>? value)
    {
        if (!Entries.TryRead(node, path, reading, out var drafts))
        {
            value = null;
            return false;
        }

        var servers = new List<ServerConfig>();
        foreach (var (name, draft) in drafts)
        {
            servers.Add(Finish(name, draft, node.Member(name)!, ConfigPath.Member(path, name), reading));
        }

        value = servers;
        return true;
    }

    private static ServerConfig Finish(string name, ServerDraft draft, ConfigNode node, string path, ConfigReading reading)
    {
        // What was written counts, not what could be read: a bad url is one problem, not two.
        var (command, url) = (node.Member("command"), node.Member("url"));
        var transport = draft.Type ?? (command is not null ? ServerTransport.Stdio : ServerTransport.Http);
        if (command is null && url is null)
        {
            reading.Error(path, node.Line, "needs \"command\" (a program to start) or \"url\" (a server to call).");
        }
        else if (command is not null && url is not null && draft.Type is null)
        {
            reading.Error(path, node.Line, "has both \"command\" and \"url\"; remove one, or say which counts with \"type\".");
        }
        else if (transport == ServerTransport.Stdio && command is null)
        {
            reading.Error(path, node.Line, "has the type stdio but no \"command\".");
        }
        else if (transport != ServerTransport.Stdio && url is null)
        {
            reading.Error(path, node.Line, "has an HTTP type but no \"url\".");
        }

        string[] unused = transport == ServerTransport.Stdio ? ["url", "headers", "retryOn503", "auth"] : ["command", "args", "env", "envFile", "cwd"];
        foreach (var key in unused)
        {
            if (node.Member(key) is { } idle && !(key is "command" or "url" && draft.Type is null))
            {
                reading.Warn(ConfigPath.Member(path, key), idle.Line,
                    transport == ServerTransport.Stdio ? "has no effect on a stdio server." : "has no effect on an HTTP server.");
            }
        }

        if (draft.Server.Auth is { } auth)
        {
            CheckAuth(auth, draft.Server, node, ConfigPath.Member(path, "auth"), reading);
        }

        if (transport == ServerTransport.Sse && node.Member("protocol") is { } protocol)
        {
            reading.Warn(ConfigPath.Member(path, "protocol"), protocol.Line, "has no effect on a server of type sse, which speaks 2024-11-05.");
        }

        var env = draft.EnvFile is { } file && EnvFile.TryRead(file, ConfigPath.Member(path, "envFile"), node.Member("envFile")!, reading, out var more)
            ? Merge(more, draft.Server.Env)
            : draft.Server.Env;
        return draft.Server with { Name = name, Transport = transport, Env = env, Auth = transport == ServerTransport.Stdio ? null : draft.Server.Auth };
    }

    private static void CheckAuth(ServerAuthConfig auth, ServerConfig server, ConfigNode node, string path, ConfigReading reading)
    {
        var line = node.Member("auth")?.Line;
        if (auth.Kind != ServerAuthKind.Exchange && (auth.Kind == ServerAuthKind.Provider) != (auth.Provider is not null))
        {
            reading.Error(ConfigPath.Member(path, "provider"), line, auth.Provider is null ? "is missing; kind provider needs the name of one." : "has no place beside kind oauth.");
        }

        (string Key, bool IsSet)[] ofExchange = [("tokenUrl", auth.TokenUrl is not null), ("clientId", auth.ClientId is not null), ("audience", auth.Audience is not null), ("resource", auth.Resource is not null)];
        foreach (var (key, isSet) in ofExchange)
        {
            if (auth.Kind == ServerAuthKind.Exchange && !isSet && key is "tokenUrl" or "clientId" && node.Member("auth")?.Member(key) is null)
            {
                reading.Error(ConfigPath.Member(path, key), line, "is missing; kind exchange needs it.");
            }
            else if (auth.Kind != ServerAuthKind.Exchange && isSet && key != "clientId")
            {
                reading.Error(ConfigPath.Member(path, key), line, "has a place only beside kind exchange.");
            }
        }

        if (auth.TokenUrl is { Scheme: not "https", IsLoopback: false })
        {
            reading.Error(ConfigPath.Member(path, "tokenUrl"), line, "is without https; tokens and the secret go there.");
        }

        if (server.Headers.ContainsKey("Authorization"))
        {
            reading.Error(path, line, "has no place beside an Authorization header.");
        }

        if (server.Scope == LinkScope.Shared)
        {
            reading.Error(path, line, "needs scope session: a connection that everybody shares is nobody's.");
        }
    }

    private static Dictionary<string, string> Merge(Dictionary<string, string> file, IReadOnlyDictionary<string, string> env)
    {
        foreach (var (name, value) in env)
        {
            file[name] = value;
        }

        return file;
    }

    public override JsonNode? Write(IReadOnlyList<ServerConfig> value) => null;

    public override JsonObject Schema() => Entries.Schema();

    public override bool Same(IReadOnlyList<ServerConfig>? one, IReadOnlyList<ServerConfig>? other) =>
        one is null || other is null
            ? ReferenceEquals(one, other)
            : one.Count == other.Count && one.Zip(other).All(pair => pair.First.Name == pair.Second.Name
                && ServerSettings.Server.Same(Draft(pair.First), Draft(pair.Second)));

    private static ServerDraft Draft(ServerConfig server) => new() { Server = server, Type = server.Transport };

    public override bool TryDescend(string segment, ConfigNode? node, out string key, [NotNullWhen(true)] out Shape? shape) =>
        Entries.TryDescend(segment, node, out key, out shape);

    public override ConfigNode? FromText(string text, string origin, string path, ConfigReading reading) =>
        Entries.FromText(text, origin, path, reading);
}
