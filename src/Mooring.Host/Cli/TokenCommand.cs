using System.CommandLine;
using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Audit;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Stores.Sqlite;
using Mooring.Vault;

namespace Mooring.Host.Cli;

/// <summary><c>mooring token</c>: API keys, and what people hold who signed in, on the store directly, whether or not a gateway runs.</summary>
internal static partial class TokenCommand
{
    private const string ByCommand = ", by the command mooring token";

    private static readonly TimeSpan DefaultLifetime = TimeSpan.FromDays(90);

    public static Command Create() => new("token", "Makes, lists and revokes API keys, for auth.mode apiKey, and revokes what people hold who signed in, linked accounts among it. Works on the store, whether or not a gateway runs.")
    {
        CreateVerb(),
        ListVerb(),
        RevokeVerb(),
    };

    private static Command CreateVerb()
    {
        var user = new Option<string>("--user") { Description = "Whose key it is. Sessions belong to this name.", HelpName = "SUBJECT", Required = true };
        var name = new Option<string?>("--name") { Description = "What it is for, for those who read the list.", HelpName = "TEXT" };
        var scopes = new Option<string?>("--scopes") { Description = $"What it may be used for: {Scopes.Use} (the servers behind the gateway), {Scopes.Admin} (the gateway itself as well). Default: {Scopes.Use}.", HelpName = "A,B" };
        var groups = new Option<string?>("--groups") { Description = "Groups that its user is in.", HelpName = "A,B" };
        var roles = new Option<string?>("--roles") { Description = "Roles that its user has.", HelpName = "A,B" };
        var expires = new Option<string?>("--expires") { Description = "How long it works, such as 12h or 90d; or never. Default: 90d.", HelpName = "TIME" };
        var (file, data) = (CommonOptions.Config(), CommonOptions.Data());
        var command = new Command("create", "Makes a key and prints it, alone, on standard output. It is shown once: the store keeps only a hash of it.") { user, name, scopes, groups, roles, expires, file, data };
        command.SetAction((parsed, cancel) =>
        {
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            var subject = parsed.GetValue(user)!;
            if (subject.Length is 0 or > 256 || subject.Any(char.IsControl))
            {
                return WrongAsync(error, "--user must be a name of at most 256 characters.");
            }

            var wanted = Words(parsed.GetValue(scopes)) is { Count: > 0 } some ? some : [Scopes.Use];
            if (wanted.FirstOrDefault(scope => !Scopes.All.Contains(scope)) is { } unknown)
            {
                return WrongAsync(error, $"--scopes: there is no scope \"{unknown}\"; there are {string.Join(" and ", Scopes.All)}.");
            }

            if (!TryLifetime(parsed.GetValue(expires), out var lifetime))
            {
                return WrongAsync(error, $"--expires must be a time such as 12h or 90d, or never, not \"{parsed.GetValue(expires)}\".");
            }

            return OnStoreAsync(parsed.GetValue(file), parsed.GetValue(data), mayMake: true, error, async (config, store, _) =>
            {
                var (secret, key) = await new ApiKeys(store, TimeProvider.System).CreateAsync(subject, parsed.GetValue(name), wanted, Words(parsed.GetValue(groups)), lifetime, Words(parsed.GetValue(roles)));
                await NoteAsync(config, new AuditEntry("key_created", "ok") { Issuer = key.Data.Person.Issuer, User = key.Data.Person.Subject, Reason = $"key {key.Id}{ByCommand}" });
                if (!config.Auth.Has(AuthMode.ApiKey))
                {
                    error.WriteLine("warning: auth.mode does not name \"apiKey\", so the gateway will not take this key.");
                }

                error.WriteLine($"Key {key.Id} of {subject}, for {string.Join(" and ", wanted)}, {Until(key.Expires)}. It is not shown again:");
                output.WriteLine(secret);
                return ExitCodes.Fine;
            }, cancel);
        });
        return command;
    }

    /// <param name="file">The configuration.</param>
    /// <param name="data">The data directory; null: as the configuration says.</param>
    /// <param name="mayMake">Whether an embedded store is made where there is none. What only looks or takes away finds nothing in a new one: its name is wrong.</param>
    /// <param name="error">Hears what is wrong.</param>
    /// <param name="work">What is done.</param>
    /// <param name="cancel">Gives up.</param>
    private static async Task<int> OnStoreAsync(string? file, string? data, bool mayMake, TextWriter error, Func<MooringConfig, IAuthStore, AccountsBeside, Task<int>> work, CancellationToken cancel)
    {
        var result = ConfigLoader.Load(file, ConfigLoader.ProcessEnvironment(), new() { DataDirectory = data });
        if (result.Config is not { } config)
        {
            ConfigReport.Problems(result, error);
            return ExitCodes.Usage;
        }

        if (config.Store.Kind == StoreKind.Memory)
        {
            error.WriteLine("mooring: store.kind is memory, which keeps nothing for another process to find.");
            return ExitCodes.Usage;
        }

        if (!mayMake && config.Store.Kind == StoreKind.Sqlite && !File.Exists(new SqliteStoreOptions { Directory = result.DataDirectory }.DatabasePath))
        {
            error.WriteLine($"mooring: there is no store in the data directory {result.DataDirectory}; name the gateway's own with --data, MOORING_DATA or store.directory.");
            return ExitCodes.Usage;
        }

        var (store, auth, vault) = StoresServiceCollectionExtensions.MakeBeside(config.Store, result.DataDirectory, TimeProvider.System, NullLoggerFactory.Instance);
        await using (store)
        {
            try
            {
                await store.OpenAsync(cancel);
                using var accounts = new AccountsBeside(config, result.DataDirectory, vault, TimeProvider.System, NullLoggerFactory.Instance);
                return await work(config, auth, accounts);
            }
            catch (VaultKeyException e)
            {
                error.WriteLine($"mooring: linked accounts were left as they are: {e.Message}");
                return ExitCodes.Usage;
            }
            catch (StoreException e)
            {
                error.WriteLine($"mooring: {e.Message}");
                return ExitCodes.Unreachable;
            }
        }
    }

    /// <summary>Into the gateway's own file, where it has one; what has no file is noted nowhere, as nobody reads this process's log.</summary>
    private static async Task NoteAsync(MooringConfig config, AuditEntry entry)
    {
        await using var audit = new AuditLog(new ConfigStore(config with { Audit = config.Audit with { Log = false } }, ""), TimeProvider.System, NullLoggerFactory.Instance);
        audit.Write(entry);
    }

    private static Task<int> WrongAsync(TextWriter error, string why)
    {
        error.WriteLine($"mooring: {why}");
        return Task.FromResult(ExitCodes.Usage);
    }

    private static bool TryLifetime(string? text, out TimeSpan? lifetime)
    {
        lifetime = text is null ? DefaultLifetime : null;
        if (text is null or "never")
        {
            return true;
        }

        var isTime = DurationText.TryParse(text, out var span) && span > TimeSpan.Zero && span <= TimeSpan.FromDays(36_500);
        lifetime = span;
        return isTime;
    }

    private static IReadOnlyList<string> Words(string? text) => text?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static string Until(DateTimeOffset expires) => expires == DateTimeOffset.MaxValue ? "without an end" : $"until {Day(expires)}";

    private static string Day(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm");
}
