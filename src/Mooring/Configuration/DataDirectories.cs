namespace Mooring.Configuration;

/// <summary>Where the embedded store lies.</summary>
internal static class DataDirectories
{
    /// <summary>The embedded store in one.</summary>
    public const string StoreFile = "mooring.db";

    /// <summary>
    /// <c>--data</c>, <c>MOORING_DATA</c>, <c>store.directory</c>; else beside a checkout that was started by its script, so that
    /// two checkouts do not share one; else the usual place of the user or the system.
    /// </summary>
    public static string Choose(MooringConfig config, IReadOnlyDictionary<string, string> environment, ConfigLoadOptions options)
    {
        var named = options.DataDirectory ?? Value(environment, EnvironmentOverrides.Data) ?? config.Store.Directory;
        if (named is not null)
        {
            return Path.GetFullPath(named, options.WorkingDirectory);
        }

        if (Value(environment, EnvironmentOverrides.Home) is { } home)
        {
            return Path.Combine(home, ".mooring");
        }

        if (OperatingSystem.IsWindows())
        {
            return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), "mooring");
        }

        if (Value(environment, "XDG_DATA_HOME") is { } data)
        {
            return Path.Combine(data, "mooring");
        }

        return Value(environment, "HOME") is { } user
            ? Path.Combine(user, ".local", "share", "mooring")
            : "/var/lib/mooring";
    }

    private static string? Value(IReadOnlyDictionary<string, string> environment, string name) =>
        environment.TryGetValue(name, out var value) && value.Length > 0 ? value : null;
}
