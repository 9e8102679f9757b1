using System.Reflection;
using System.Text.RegularExpressions;
using Mooring.Configuration;
using Mooring.Connectors;
using Mooring.Host.Cli;
using Xunit;

namespace Mooring.Tests;

/// <summary>The rules of the house, held against the compiled code. What the documents say is in the other part.</summary>
public sealed partial class ArchitectureTests
{
    private static readonly Assembly Library = typeof(MooringConfig).Assembly;
    private static readonly Assembly Connectors = typeof(ConnectorFactory).Assembly;
    private static readonly Assembly Program = typeof(ExitCodes).Assembly;

    /// <summary>Which room may use which. Sessions, routing and calls know each other; all else points one way.</summary>
    private static readonly Dictionary<string, string[]> Uses = new(StringComparer.Ordinal)
    {
        ["Protocol"] = [],
        ["Telemetry"] = [],
        ["Configuration"] = [],
        ["Network"] = [],
        ["Audit"] = ["Configuration", "Protocol", "Telemetry"],
        ["Auth"] = ["Audit", "Configuration", "Network", "Protocol", "Stores", "Streams", "Telemetry", "Vault"],
        ["Stores"] = ["Configuration", "Telemetry"],
        ["Vault"] = ["Configuration", "Network", "Stores", "Telemetry"],
        ["Replicas"] = ["Stores", "Telemetry"],
        ["Streams"] = ["Configuration", "Network", "Stores", "Telemetry"],
        ["Upstreams"] = ["Configuration", "Network", "Protocol", "Stores", "Telemetry", "Vault"],
        ["Policies"] = ["Auth", "Configuration"],
        ["Calls"] = ["Audit", "Configuration", "Policies", "Protocol", "Replicas", "Routing", "Sessions", "Streams", "Stores", "Telemetry", "Upstreams", "Vault"],
        ["Routing"] = ["Audit", "Calls", "Configuration", "Policies", "Protocol", "Replicas", "Sessions", "Stores", "Telemetry", "Upstreams"],
        ["Sessions"] = ["Audit", "Auth", "Calls", "Configuration", "Policies", "Protocol", "Replicas", "Routing", "Stores", "Streams", "Telemetry", "Upstreams", "Vault"],
        ["Tasks"] = ["Audit", "Calls", "Configuration", "Protocol", "Replicas", "Sessions", "Stores", "Streams", "Telemetry"],
        ["FrontDoor"] = ["Audit", "Auth", "Calls", "Configuration", "Drain", "Network", "Policies", "Protocol", "Replicas", "Routing", "Sessions", "Stores", "Streams", "Tasks", "Telemetry", "Upstreams", "Vault"],
        ["Drain"] = ["Calls", "Configuration", "Protocol", "Replicas", "Sessions", "Streams", "Tasks"],
        ["Admin"] = ["Auth", "Drain", "Sessions", "Stores", "Streams", "Telemetry", "Upstreams"],
    };

    /// <summary>The contract of the library. Whatever else is public was left so by mistake.</summary>
    private static readonly string[] Public =
    [
        "Mooring.MooringServiceCollectionExtensions", "Mooring.Upstreams.IConnector",
        "Mooring.Configuration.AuthConfig", "Mooring.Configuration.AuthMode", "Mooring.Configuration.JwtIssuerConfig", "Mooring.Configuration.LocalUserConfig",
        "Mooring.Configuration.OAuthClientConfig", "Mooring.Configuration.OAuthConfig", "Mooring.Configuration.SignInProviderConfig", "Mooring.Configuration.SignInProviderKind",
        "Mooring.Configuration.AuditArguments", "Mooring.Configuration.AuditConfig", "Mooring.Configuration.PoliciesConfig", "Mooring.Configuration.PolicyEffect", "Mooring.Configuration.PolicyRuleConfig",
        "Mooring.Configuration.CacheConfig", "Mooring.Configuration.CallsConfig", "Mooring.Configuration.ClientConfig", "Mooring.Configuration.CommitRule",
        "Mooring.Configuration.ConfigStore", "Mooring.Configuration.ConnectorConfig",
        "Mooring.Configuration.DrainConfig", "Mooring.Configuration.EventLogConfig", "Mooring.Configuration.HttpConfig", "Mooring.Configuration.KeepAliveConfig",
        "Mooring.Configuration.KeyRule",
        "Mooring.Configuration.LimitsConfig", "Mooring.Configuration.LinkScope", "Mooring.Configuration.MissingSessionRule", "Mooring.Configuration.MooringConfig", "Mooring.Configuration.PrefixRule", "Mooring.Configuration.AccountProviderConfig",
        "Mooring.Configuration.ServerAuthConfig", "Mooring.Configuration.ServerAuthKind", "Mooring.Configuration.ServerConfig", "Mooring.Configuration.ServerProtocol", "Mooring.Configuration.ServerTransport", "Mooring.Configuration.SessionlessGetRule", "Mooring.Configuration.SessionsConfig", "Mooring.Configuration.StoreConfig",
        "Mooring.Configuration.StoreKind", "Mooring.Configuration.StreamsConfig", "Mooring.Configuration.TlsConfig", "Mooring.Configuration.ToolConfig", "Mooring.Configuration.VaultConfig", "Mooring.Configuration.VaultKind",
        "Mooring.Connectors.ConnectorFactory", "Mooring.Connectors.ConnectorsServiceCollectionExtensions",
        "Mooring.Connectors.Docs.DocsConnector",
    ];

    /// <summary>Interfaces with one implementation here, and why they are there.</summary>
    private static readonly Dictionary<string, string> PlugPoints = new(StringComparer.Ordinal)
    {
        ["IBridgedTaskHolder"] = "the router has to know who has tasks, and they are made of calls of their own, behind it",
        ["ICallHeir"] = "calls do not know who can make calls that no client brought",
        ["IConnector"] = "applications bring their own",
        ["IHeir"] = "replicas do not know what they run",
        ["IStreamPass"] = "the gateway's own identities are of a room that streams do not know; those of an embedding host end nothing",
        ["IListeners"] = "the host has the sockets; embedded, there are none of ours",
        ["IStoreSeal"] = "the vault is around the stores, and they do not know it",
    };

    private static readonly string[] Layers = ["Utilities", "Utils", "Helpers", "Services", "Models", "Interfaces", "Managers", "Contracts"];

    /// <summary>The runner ignores a file with a comment, all of it and without a word.</summary>
    [Theory]
    [InlineData("tests/Mooring.Tests/xunit.runner.json")]
    [InlineData("tests/Mooring.EndToEndTests/xunit.runner.json")]
    public void SettingsOfTheRunner_HaveNoComments(string path) => Assert.NotNull(System.Text.Json.Nodes.JsonNode.Parse(Read(path))!["maxParallelThreads"]);

    [Fact]
    public void Rooms_EveryReference_GoesWhereTheTableAllows()
    {
        var wrong = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var type in Library.GetTypes())
        {
            var from = RoomOf(type);
            if (from is null or "")
            {
                continue;
            }

            Assert.True(Uses.ContainsKey(from), $"The room {from} is not in the table of ArchitectureTests.");
            foreach (var used in References.Of(type))
            {
                var to = RoomOf(used);
                if (used.Assembly == Library && to is not (null or "") && to != from && !Uses[from].Contains(to))
                {
                    wrong.Add($"{from} uses {to}: {Outermost(type).Name} uses {used.Name}");
                }
            }
        }

        Assert.True(wrong.Count == 0, string.Join("\n", wrong));
    }

    [Fact]
    public void Rooms_OfTheComposition_OnlyTheVersionIsUsed()
    {
        var used = Library.GetTypes().Where(t => RoomOf(t) is not (null or ""))
            .SelectMany(References.Of).Where(t => t.Assembly == Library && RoomOf(t) == "").Select(t => Outermost(t).Name).Distinct().Order(StringComparer.Ordinal);

        Assert.Equal(["MooringVersion"], used);
    }

    [Fact]
    public void Protocol_References_NoNetworkNoHostAndOnlyStreamsOfInput()
    {
        string[] closed = ["System.Net", "System.Threading.Channels", "System.IO.Pipelines", "Microsoft."];
        var outside = Library.GetTypes().Where(t => RoomOf(t) == "Protocol").SelectMany(References.Of).Where(t => t.Assembly != Library).Distinct().ToList();

        Assert.NotEmpty(outside);
        Assert.DoesNotContain(outside, t => closed.Any(name => t.Namespace?.StartsWith(name, StringComparison.Ordinal) == true));
        Assert.DoesNotContain(outside, t => t.Namespace == "System.IO" && t.Name is not ("Stream" or "IOException" or "EndOfStreamException"));
    }

    [Fact]
    public void Readiness_References_NoOtherRoom()
    {
        var readiness = Library.GetTypes().Single(t => t.FullName is "Mooring.Drain.Readiness");

        Assert.All(References.Of(readiness).Where(t => t.Assembly == Library), t => Assert.Equal("Drain", RoomOf(t)));
    }

    [Fact]
    public void ConnectorsAndProgram_References_StayAtTheEdgeOfTheLibrary()
    {
        var connectors = Connectors.GetTypes().SelectMany(References.Of).Where(t => t.Assembly == Library).Select(t => t.Name).Distinct();
        var program = Program.GetTypes().SelectMany(References.Of).Where(t => t.Assembly == Library && t.Name != "IConnector").Select(RoomOf).Distinct().Order(StringComparer.Ordinal);

        Assert.Equal(["IConnector"], connectors);
        Assert.Equal(["", "Audit", "Auth", "Configuration", "Drain", "Network", "Protocol", "Stores", "Streams", "Vault"], program);
        Assert.DoesNotContain(Library.GetReferencedAssemblies(), a => a.Name is "Mooring.Connectors" or "mooring");
    }

    [Fact]
    public void PublicTypes_AreTheContractAndNothingElse()
    {
        var found = new[] { Library, Connectors }.SelectMany(a => a.GetExportedTypes()).Select(t => t.FullName!).Order(StringComparer.Ordinal);

        Assert.Equal(Public.Order(StringComparer.Ordinal), found);
        // The compiler makes the class around top-level statements; nobody references a program.
        Assert.Equal(["Program"], Program.GetExportedTypes().Select(t => t.FullName));
    }

    [Fact]
    public void Classes_WithoutHeirs_AreSealed()
    {
        var all = new[] { Library, Connectors, Program }.SelectMany(a => a.GetTypes()).Where(t => !IsGenerated(t)).ToList();
        var bases = all.Select(t => t.BaseType).OfType<Type>().Select(t => t.IsGenericType ? t.GetGenericTypeDefinition() : t).ToHashSet();

        var open = all.Where(t => t.IsClass && !t.IsSealed && !bases.Contains(t)).Select(t => t.FullName);

        Assert.Empty(open);
    }

    [Fact]
    public void Interfaces_HaveTwoImplementationsOrAreAPlugPoint()
    {
        var all = new[] { Library, Connectors, Program }.SelectMany(a => a.GetTypes()).Where(t => !IsGenerated(t)).ToList();

        var lonely = all.Where(t => t.IsInterface && !PlugPoints.ContainsKey(t.Name))
            .Where(i => all.Count(t => t.IsClass && !t.IsAbstract && i.IsAssignableFrom(t)) < 2).Select(t => t.FullName);

        Assert.Empty(lonely);
        Assert.All(PlugPoints.Keys, name => Assert.Contains(all, t => t.IsInterface && t.Name == name));
    }

    [Fact]
    public void LogEvents_OfAllClasses_HaveIdsOfTheirOwn()
    {
        var events = new[] { Library, Connectors, Program }.SelectMany(a => a.GetTypes())
            .SelectMany(t => t.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Select(m => (Class: Outermost(m.DeclaringType!), Event: m.GetCustomAttribute<Microsoft.Extensions.Logging.LoggerMessageAttribute>()))
            .Where(e => e.Event is not null).ToList();

        Assert.NotEmpty(events);
        Assert.All(events, e => Assert.False(string.IsNullOrEmpty(e.Event!.EventName), $"{e.Class.Name}, event {e.Event.EventId} has no name."));
        Assert.All(events.GroupBy(e => e.Event!.EventId), g => Assert.True(g.Count() == 1, $"Event id {g.Key} is used by {string.Join(" and ", g.Select(e => e.Class.Name))}."));
        Assert.All(events.GroupBy(e => (e.Class, e.Event!.EventName)), g => Assert.True(g.Count() == 1, $"{g.Key.Class.Name} uses event name {g.Key.EventName} twice."));
    }

    [Fact]
    public void BannedSymbols_SystemClocks_AreCompileErrorsInEveryProject()
    {
        var banned = Read("eng/analyzers/BannedSymbols.txt");
        foreach (var symbol in new[] { "P:System.DateTime.UtcNow", "P:System.DateTime.Now", "P:System.DateTimeOffset.UtcNow", "P:System.DateTimeOffset.Now", "P:System.Environment.TickCount64", "M:System.Diagnostics.Stopwatch.GetTimestamp", "M:System.Threading.Tasks.Task.Delay(System.TimeSpan)", "M:System.Threading.Thread.Sleep(System.Int32)", "T:System.Threading.Timer" })
        {
            Assert.Contains(symbol + ";", banned, StringComparison.Ordinal);
        }

        Assert.Contains("Microsoft.CodeAnalysis.BannedApiAnalyzers", Read("Directory.Build.props"), StringComparison.Ordinal);
        Assert.Contains("<TreatWarningsAsErrors>true</TreatWarningsAsErrors>", Read("Directory.Build.props"), StringComparison.Ordinal);
        Assert.Contains("BannedSymbols.txt", Read("src/Directory.Build.props"), StringComparison.Ordinal);
        Assert.Contains("src.globalconfig", Read("src/Directory.Build.props"), StringComparison.Ordinal);
        Assert.Contains("BannedSymbols.txt", Read("tests/Mooring.Tests/Mooring.Tests.csproj"), StringComparison.Ordinal);
        Assert.Contains("dotnet_diagnostic.RS0030.severity = error", Read("eng/analyzers/src.globalconfig"), StringComparison.Ordinal);
        Assert.Contains("dotnet_diagnostic.RS0030.severity = error", Read("eng/analyzers/tests.globalconfig"), StringComparison.Ordinal);
        Assert.DoesNotContain(Sources(), file => File.ReadAllText(file).Contains("RS0030", StringComparison.Ordinal));
    }

    [Fact]
    public void Folders_AreRoomsAndNotLayers()
    {
        var layers = new[] { "src", "tests", "bench", "samples" }.SelectMany(top => Directory.EnumerateDirectories(Path.Combine(Root, top), "*", SearchOption.AllDirectories))
            .Where(IsOurs).Where(folder => Layers.Contains(Path.GetFileName(folder)));

        Assert.Empty(layers);
    }

    [Fact]
    public void SourceFiles_HaveAtMost400Lines()
    {
        var long_ = Sources().Select(file => (Name: Path.GetRelativePath(Root, file), Lines: File.ReadLines(file).Count())).Where(f => f.Lines > 400);

        Assert.Empty(long_);
    }

    [Fact]
    public void SourceFiles_LeaveNothingForLater()
    {
        var words = new Regex(@"\b(TODO|FIXME|HACK|XXX|NotImplementedException)\b", RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(10));

        Assert.DoesNotContain(Sources(), file => words.IsMatch(File.ReadAllText(file)));
    }

    /// <summary>The first folder below the library's namespace; empty for the composition, null for what is not ours.</summary>
    private static string? RoomOf(Type type)
    {
        var name = Outermost(type).Namespace;
        return name == "Mooring" ? "" : name?.StartsWith("Mooring.", StringComparison.Ordinal) == true ? name.Split('.')[1] : null;
    }

    private static Type Outermost(Type type)
    {
        while (type.DeclaringType is { } outer)
        {
            type = outer;
        }

        return type;
    }

    private static bool IsGenerated(Type type) =>
        type.IsDefined(typeof(System.Runtime.CompilerServices.CompilerGeneratedAttribute)) || type.IsDefined(typeof(System.CodeDom.Compiler.GeneratedCodeAttribute))
        || type.Name.Contains('<') || RoomOf(type) is null || (type.DeclaringType is { } outer && IsGenerated(outer));

    private static string Root { get; } = FindRoot();

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Mooring.slnx")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run outside a checkout.");
        }

        return folder.FullName;
    }

    private static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    private static IEnumerable<string> Sources() => Files("src", "*.cs");

    private static IEnumerable<string> Files(string folder, string pattern) =>
        Directory.EnumerateFiles(Path.Combine(Root, folder), pattern, SearchOption.AllDirectories).Where(IsOurs);

    private static bool IsOurs(string path) =>
        !Path.GetRelativePath(Root, path).Split(Path.DirectorySeparatorChar).Any(part => part is "obj" or "bin" or "node_modules" or "TestResults" || (part.StartsWith('.') && part.Length > 1));
}
