namespace Mooring.EndToEndTests.Harness;

/// <summary>Where things lie in the checkout these tests were built from.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>The fixtures that run under Node: server, suites, clients.</summary>
    public static string NodeFixtures { get; } = Path.Combine(Root, "tests", "fixtures", "conformance");

    public static string Relay { get; } = Path.Combine(Root, "tests", "fixtures", "relay", "relay.mjs");

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Mooring.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"No Mooring.slnx above {AppContext.BaseDirectory}.");
    }
}
