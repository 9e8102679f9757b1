using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mooring.Audit;
using Mooring.Auth;
using Mooring.Auth.Server;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Vault;

namespace Mooring.Host.Cli;

/// <content>What there is, and taking it away.</content>
internal static partial class TokenCommand
{
    /// <summary>What others made up is shown in a terminal.</summary>
    private const int LongestName = 300;

    private const string Account = "account";

    private const string HowNamed = "as issuer#subject or issuer#address, by verified e-mail address, or by name where it is a person of auth.oauth.users or of a key";

    private static Command ListVerb()
    {
        var json = new Option<bool>("--json") { Description = "As JSON." };
        var all = new Option<bool>("--all") { Description = "Also what people hold who signed in: what they allowed clients, browsers in which they are signed in, and accounts at other systems that they linked." };
        var person = new Option<string?>("--person") { Description = $"All of one person alone, {HowNamed}.", HelpName = "PERSON" };
        var (file, data) = (CommonOptions.Config(), CommonOptions.Data());
        var command = new Command("list", "Lists the keys that work, without the keys themselves.") { json, all, person, file, data };
        command.SetAction((parsed, cancel) => OnStoreAsync(parsed.GetValue(file), parsed.GetValue(data), mayMake: false, parsed.InvocationConfiguration.Error, async (_, store, accounts) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(all) || parsed.GetValue(person) is not null)
            {
                var holdings = new Holdings(store, TimeProvider.System);
                var held = await holdings.ListAsync(parsed.GetValue(person), cancel);
                var linked = await AccountsOfAsync(holdings, accounts, parsed.GetValue(person), cancel);
                Write(
                    output, parsed.GetValue(json), [.. held.Select(JsonOf), .. linked.Select(JsonOf)], ["ID", "WHAT", "PERSON", "E-MAIL", "CREATED", "EXPIRES", "NAME"],
                    [.. held.Select(RowOf), .. linked.Select(RowOf)]);
                return ExitCodes.Fine;
            }

            var keys = await new ApiKeys(store, TimeProvider.System).ListAsync(cancel);
            Write(output, parsed.GetValue(json), keys.Select(JsonOf), ["ID", "USER", "SCOPES", "CREATED", "EXPIRES", "NAME"],
                keys.Select(key => (string[])[key.Id, key.Data.Person.Subject, string.Join(',', key.Data.Scopes), Day(key.Created), EndOf(key.Expires), key.Data.Name ?? ""]));
            return ExitCodes.Fine;
        }, cancel));
        return command;
    }

    private static Command RevokeVerb()
    {
        var id = new Argument<string?>("ID") { Description = "Of one thing, as token list shows it.", Arity = ArgumentArity.ZeroOrOne };
        var person = new Option<string?>("--person")
        {
            Description = $"In its place: all that one person holds, {HowNamed}. Keys, access and refresh tokens of every client, sign-ins in browsers, and accounts at other systems, whose providers are told. It keeps nobody from signing in again.",
            HelpName = "PERSON",
        };
        var client = new Option<string?>("--client")
        {
            Description = "In its place: all that people allowed one client, by its id, as token list --all --json shows it. It keeps nobody from allowing it something again.",
            HelpName = "ID",
        };
        var (file, data) = (CommonOptions.Config(), CommonOptions.Data());
        var command = new Command("revoke", "Revokes a key, what somebody allowed a client, or an account that somebody linked. Running gateways notice within 5 seconds, and open streams end; streams at servers that an account was used with, within a minute.") { id, person, client, file, data };
        command.SetAction((parsed, cancel) =>
        {
            var error = parsed.InvocationConfiguration.Error;
            var (one, whose, of) = (parsed.GetValue(id), parsed.GetValue(person), parsed.GetValue(client));
            if (new[] { one, whose, of }.Count(named => named is not null) != 1)
            {
                return WrongAsync(error, "say what to revoke: either an ID, as token list shows it, or --person, or --client.");
            }

            return OnStoreAsync(parsed.GetValue(file), parsed.GetValue(data), mayMake: false, error, async (config, store, accounts) =>
            {
                var holdings = new Holdings(store, TimeProvider.System);
                // Before the rest is gone: an address stands for somebody only while something says so.
                IReadOnlyList<HeldAccount> linked = whose is not null ? await AccountsOfAsync(holdings, accounts, whose, cancel) : [];
                var gone = one is not null ? await holdings.RevokeAsync(one, cancel)
                    : whose is not null ? await holdings.RevokeAllAsync(whose, cancel)
                    : await holdings.RevokeAllOfClientAsync(of!, cancel);
                if (one is not null && gone.Count == 0)
                {
                    // Looked through where it is nothing else: a key that leaked waits for no list of accounts.
                    linked = [.. (await accounts.ListAsync(cancel)).Where(account => string.Equals(account.Id, one, StringComparison.OrdinalIgnoreCase))];
                }

                if (gone.Count == 0 && linked.Count == 0)
                {
                    error.WriteLine(one is not null ? $"mooring: there is no key {one}; see mooring token list."
                        : whose is not null ? $"mooring: nobody who is called {whose} holds anything; see mooring token list --all."
                        : $"mooring: nobody allowed a client {of} anything; see mooring token list --all --json.");
                    return ExitCodes.NotFine;
                }

                foreach (var held in gone)
                {
                    await NoteAsync(config, new AuditEntry(held.Kind switch { AuthKind.ApiKey => "key_revoked", AuthKind.Grant => "token_revoked", _ => "signed_out" }, "ok")
                    {
                        Issuer = held.Person.Issuer,
                        User = held.Person.Subject,
                        Client = held.Client,
                        Reason = (held.Kind == AuthKind.ApiKey ? $"key {held.Id}" : WordOf(held.Kind)) + ByCommand,
                    });
                    parsed.InvocationConfiguration.Output.WriteLine(held.Kind switch
                    {
                        AuthKind.ApiKey => $"Key {held.Id} of {NameOf(held.Person)} is revoked.",
                        AuthKind.Grant => $"What {NameOf(held.Person)} allowed {Plain(held.Name ?? held.Client!)} is revoked, with all its tokens.",
                        _ => $"A browser of {NameOf(held.Person)} is signed out.",
                    });
                }

                var areGone = true;
                foreach (var account in linked)
                {
                    areGone &= await TakeAwayAsync(config, accounts, account, parsed.InvocationConfiguration, cancel);
                }

                return areGone ? ExitCodes.Fine : ExitCodes.NotFine;
            }, cancel);
        });
        return command;
    }

    private static async Task<IReadOnlyList<HeldAccount>> AccountsOfAsync(Holdings holdings, AccountsBeside accounts, string? person, CancellationToken cancel)
    {
        var all = await accounts.ListAsync(cancel);
        var names = person is null ? null : await holdings.NamesAsync(person, cancel);
        return names is null ? all : [.. all.Where(account => names.Contains((account.Key.Issuer, account.Key.Subject)) || PersonOf(account).IsCalled(person!))];
    }

    private static async Task<bool> TakeAwayAsync(MooringConfig config, AccountsBeside accounts, HeldAccount account, InvocationConfiguration to, CancellationToken cancel)
    {
        var what = $"account of {NameOf(PersonOf(account))} at {Plain(account.Key.Provider)}";
        RemovedAccount? removed;
        try
        {
            removed = await accounts.RemoveAsync(account.Key, cancel);
        }
        catch (Exception e) when (e is StoreException or VaultKeyException)
        {
            // By its person it may be found no more: what said whose it is can be gone by now.
            to.Error.WriteLine($"mooring: the {what} was left as it is. Take it away with mooring token revoke {account.Id}. {(e is StoreException ? e.Message : "")}".TrimEnd());
            if (e is VaultKeyException)
            {
                // No other can be taken away either.
                throw;
            }

            return false;
        }

        if (removed is null)
        {
            to.Error.WriteLine($"mooring: the {what} is being refreshed just now, and was left as it is. Take it away with mooring token revoke {account.Id}.");
            return false;
        }

        var why = removed.NotTold is { } notTold ? $"the provider was not told: {notTold}" : null;
        await NoteAsync(config, new AuditEntry("account_removed", "ok") { Issuer = account.Key.Issuer, User = account.Key.Subject, Name = account.Key.Provider, Reason = (why ?? "the provider was told") + ByCommand });
        to.Output.WriteLine($"The {what} is taken away; {why ?? "the provider was told"}.");
        return true;
    }

    private static void Write(TextWriter output, bool isJson, IEnumerable<JsonObject> json, string[] head, IEnumerable<string[]> table)
    {
        if (isJson)
        {
            output.WriteLine(new JsonArray([.. json]).ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
            return;
        }

        List<string[]> rows = [head, .. table];
        var widths = head.Select((_, column) => rows.Max(row => row[column].Length)).ToList();
        foreach (var row in rows)
        {
            output.WriteLine(string.Join("  ", row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd());
        }
    }

    private static JsonObject JsonOf(ApiKey key) => new()
    {
        ["id"] = key.Id,
        ["user"] = key.Data.Person.Subject,
        ["name"] = key.Data.Name,
        ["scopes"] = ArrayOf(key.Data.Scopes),
        ["groups"] = ArrayOf(key.Data.Person.Groups ?? []),
        ["roles"] = ArrayOf(key.Data.Person.Roles ?? []),
        ["created"] = key.Created.UtcDateTime,
        ["expires"] = TimeOf(key.Expires),
    };

    private static JsonObject JsonOf(Holding held) => new()
    {
        ["id"] = held.Id,
        ["what"] = WordOf(held.Kind),
        ["issuer"] = held.Person.Issuer,
        ["user"] = held.Person.Subject,
        ["email"] = held.Person.Email,
        ["name"] = held.Name,
        ["client"] = held.Client,
        ["created"] = held.Created.UtcDateTime,
        ["expires"] = TimeOf(held.Expires),
    };

    private static string[] RowOf(Holding held) =>
        [held.Id, WordOf(held.Kind), NameOf(held.Person), Plain(held.Person.Email ?? ""), Day(held.Created), EndOf(held.Expires), Plain(held.Name ?? held.Client ?? "")];

    private static JsonObject JsonOf(HeldAccount account) => new()
    {
        ["id"] = account.Id,
        ["what"] = Account,
        ["issuer"] = account.Key.Issuer,
        ["user"] = account.Key.Subject,
        ["email"] = null,
        ["name"] = account.Key.Provider,
        ["client"] = null,
        ["created"] = null,
        ["expires"] = null,
    };

    private static string[] RowOf(HeldAccount account) => [account.Id, Account, NameOf(PersonOf(account)), "", "", "", Plain(account.Key.Provider)];

    private static Person PersonOf(HeldAccount account) => new(account.Key.Issuer, account.Key.Subject);

    private static JsonArray ArrayOf(IReadOnlyList<string> texts) => [.. texts.Select(text => JsonValue.Create(text))];

    private static JsonNode? TimeOf(DateTimeOffset expires) => expires == DateTimeOffset.MaxValue ? null : expires.UtcDateTime;

    private static string EndOf(DateTimeOffset expires) => expires == DateTimeOffset.MaxValue ? "never" : Day(expires);

    private static string WordOf(AuthKind kind) => kind switch { AuthKind.ApiKey => "key", AuthKind.Grant => "client", _ => "browser" };

    /// <summary>As --person takes it.</summary>
    private static string NameOf(Person person) => Plain(person.Issuer is Person.OfConfiguration or Person.OfApiKeys ? person.Subject : $"{person.Issuer}#{person.Subject}");

    private static string Plain(string text) => Pages.Plain(text, LongestName);
}
