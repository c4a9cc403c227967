using System.Text;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Server.Tests;

public sealed class ReeveOptionsReaderTests
{
    private const string Model =
        """
        {"id":"mesh/house-1","upstream":"house-1","context_tokens":128000,"max_output_tokens":4096,"quality":60,
        "input_usd_per_million":3,"output_usd_per_million":0.5,"capabilities":["chat","tools"]}
        """;

    private const string House =
        """{"name":"house","kind":"openai","base_url":"http://h/v1","models":[""" + Model + "]}";

    private readonly Dictionary<string, string> _environment = [];
    private readonly Dictionary<string, string> _files = [];

    [Fact]
    public void Read_Nothing_GivesTheDefaults()
    {
        var options = Read();
        Assert.Equal(("./data", "http://127.0.0.1:5080"), (options.DataFolder, options.Urls));
        Assert.Equal(new CreditOptions(), options.Credits);
        Assert.Equal(new LimitOptions(), options.Limits);
        Assert.Empty(options.Inference.Providers);
    }

    [Fact]
    public void Read_FlagEnvironmentFile_WinInThisOrder()
    {
        _files["./reeve.json"] = """{"urls":"http://127.0.0.1:1","data":"/file"}""";
        Assert.Equal(("/file", "http://127.0.0.1:1"), (Read().DataFolder, Read().Urls));
        _environment["REEVE_DATA"] = "/env";
        _environment["REEVE_URLS"] = "http://*:2;https://[::1]:3";
        Assert.Equal(("/env", "http://*:2;https://[::1]:3"), (Read().DataFolder, Read().Urls));
        var options = Read("--data", "/flag", "--urls=http://localhost:4");
        Assert.Equal(("/flag", "http://localhost:4"), (options.DataFolder, options.Urls));
    }

    [Fact]
    public void Read_ConfigFile_IsNamedByFlagOrEnvironment()
    {
        _files["./reeve.json"] = """{"data":"/default"}""";
        _files["/etc/a.json"] = """{"data":"/a"}""";
        _files["/etc/b.json"] = """{"data":"/b"}""";
        _environment["REEVE_CONFIG"] = "/etc/a.json";
        Assert.Equal("/a", Read().DataFolder);
        Assert.Equal("/b", Read("--config", "/etc/b.json").DataFolder);
        Assert.Equal("--config names /x.json, which does not exist.", Error("--config", "/x.json"));
    }

    [Fact]
    public void Read_WholeFile_IsTaken()
    {
        _environment["HOUSE_KEY"] = "s3cret";
        _files["./reeve.json"] = $$$$"""
            {"inference":{"providers":[{"name":"house","kind":"openai","base_url":"http://10.0.0.1:9000/v1",
            "api_key_env":"HOUSE_KEY",
            "operator_run":true,"timeout_ms":5000,"models":[{{{{Model}}}}]}]},
            "credits":{"micro_usd_per_credit":2500,"margin_rate":0.1,"starting_balance_usd":5.5,"round_to_micro_usd":
            10},
            "limits":{"body_bytes_max":2048,"upload_bytes_max":4096,"runs_max":7,"streams_max":8,"connections_max":9,
            "requests_per_minute":{"free":1,"enterprise":2}},
            "legacy_chat_sunset":"2028-01-02"}
            """;

        var options = Read();

        var provider = Assert.Single(options.Inference.Providers);
        Assert.Equal(new PrivacyMarks(true, true, false), provider.Marks);
        Assert.Equal(("s3cret", TimeSpan.FromSeconds(5)), (provider.ApiKey!.Reveal(), provider.Timeout));
        Assert.DoesNotContain("s3cret", $"{options} {provider} {provider.ApiKey}", StringComparison.Ordinal);
        var model = Assert.Single(provider.Models);
        Assert.Equal(("house", "house-1", 60), (model.Provider, model.Upstream, model.Quality));
        Assert.Equal((3m, 0.5m), (model.InputUsdPerMillion, model.OutputUsdPerMillion));
        Assert.Equal(
            new CreditOptions
            {
                MicroUsdPerCredit = 2_500,
                MarginRate = 0.1m,
                StartingBalanceUsd = 5.5m,
                RoundToMicroUsd = 10,
            },
            options.Credits);
        Assert.Equal(
            new LimitOptions
            {
                BodyBytesMax = 2_048,
                UploadBytesMax = 4_096,
                RunsMax = 7,
                StreamsMax = 8,
                ConnectionsMax = 9,
                FreeRequestsPerMinute = 1,
                EnterpriseRequestsPerMinute = 2,
            },
            options.Limits);
        Assert.Equal(new DateTimeOffset(2028, 1, 2, 0, 0, 0, TimeSpan.Zero), options.LegacyChatSunset);
    }

    [Fact]
    public void Read_WhatGoesOut_FromTheFile()
    {
        _files["./reeve.json"] = """
            {"egress":{"allow":["127.0.0.1:8089","intranet.example:443","[::1]:9000"],"allow_http":true},
             "webhooks":{"retry_seconds":[1,60],"pending_max":200},"credits":{"low_balance_usd":2.5},
             "limits":{"request_log_days":0,"chat_days":7,"chat_bytes_open_max":30000000} }
            """;

        var options = Read();

        Assert.Equal(["127.0.0.1 8089", "intranet.example 443", "::1 9000"],
            options.Egress.Allow.Select(static one => $"{one.Host} {one.Port}"));
        Assert.True(options.Egress.AllowHttp);
        Assert.Equal([1, 60], options.Webhooks.RetrySeconds);
        Assert.Equal((200, 7, 30_000_000),
            (options.Webhooks.PendingMax, options.Limits.ChatDays, options.Limits.ChatBytesOpenMax));
        Assert.Equal((2.5m, 0), (options.Credits.LowBalanceUsd, options.Limits.RequestLogDays));
        Assert.Equal(9, new WebhookOptions().RetrySeconds.Count);
    }

    [Theory]
    [InlineData("{", "reeve.json: the file is not JSON that can be accepted (line 1, byte 2).")]
    [InlineData("[]", "reeve.json: the file must be a JSON object.")]
    [InlineData("{\"dta\":1}", "reeve.json: dta is not a known field here (did you mean data?).")]
    [InlineData("{\"urls\":\"ftp://x\"}", "urls must be http or https addresses without a path, separated by semicol"
        + "ons.")]
    [InlineData("{\"tools\":{}}", "reeve.json: tools is a section that this version does not support yet.")]
    [InlineData("{\"egress\":{\"allow\":[\"intranet\"]}}", "reeve.json: egress.allow[0] must be host:port, such as "
        + "intranet.example:443.")]
    [InlineData("{\"egress\":{\"allow_http\":1}}", "reeve.json: egress.allow_http must be true or false.")]
    [InlineData("{\"webhooks\":{\"retry_seconds\":[5,0]}}", "reeve.json: webhooks.retry_seconds[1] must be an integer "
        + "from 1 to 604800.")]
    [InlineData("{\"credits\":{\"low_balance_usd\":-1}}", "reeve.json: credits.low_balance_usd must be a number from 0 "
        + "to 1000000 with at most 6 decimals.")]
    [InlineData("{\"webhooks\":{\"pending_max\":99}}", "reeve.json: webhooks.pending_max must be an integer from 100 "
        + "to 1000000.")]
    [InlineData("{\"limits\":{\"chat_days\":-1}}", "reeve.json: limits.chat_days must be an integer from 0 to 36500.")]
    [InlineData("{\"limits\":{\"request_log_days\":367}}", "reeve.json: limits.request_log_days must be an integer "
        + "from 0 to 366.")]
    [InlineData("{\"credits\":{\"micro_usd_per_credit\":300}}", "reeve.json: credits.micro_usd_per_credit must be a "
        + "product of twos and fives, such as 1000.")]
    [InlineData("{\"credits\":{\"margin_rate\":11}}", "reeve.json: credits.margin_rate must be a number from 0 to 10"
        + " with at most 6 decimals.")]
    [InlineData("{\"credits\":{\"margin\":1}}", "reeve.json: credits.margin is not a known field here.")]
    [InlineData("{\"inference\":{\"hedge_after_ms\":0}}", "reeve.json: inference.hedge_after_ms must be an integer "
        + "from 1 to 600000.")]
    [InlineData("{\"limits\":{\"requests_per_minute\":{\"free\":0}}}", "reeve.json: limits.requests_per_minute.free "
        + "must be an integer from 1 to 10000000.")]
    [InlineData("{\"legacy_chat_sunset\":\"soon\"}", "reeve.json: legacy_chat_sunset must be a date such as 2027-06-"
        + "30 or 2027-06-30T00:00:00Z.")]
    public void Read_WrongFile_SaysWhatIsWrong(string file, string message)
    {
        _files["./reeve.json"] = file;
        Assert.Equal(message, Error());
    }

    [Theory]
    [InlineData("\"kind\":\"openai\"", "\"kind\":\"x\"", "kind must be one of openai, anthropic, gemini, ollama.")]
    [InlineData("\"kind\":\"openai\"", "\"kind\":\"gemini\",\"api\":\"responses\"", "api is for providers of kind "
        + "openai alone.")]
    [InlineData("\"models\":[", "\"api\":\"x\",\"models\":[", "api must be one of chat_completions, responses.")]
    [InlineData("\"name\":\"house\"", "\"name\":\"My House\"", "name must be lower-case letters, digits, - and _.")]
    [InlineData("http://h/v1", "http://u:p@h/v1", "base_url must be an http or https address without user, query or "
        + "fragment.")]
    [InlineData("\"base_url\":\"http://h/v1\",", "", "base_url is required.")]
    [InlineData("\"models\":[", "\"timeout_ms\":10,\"models\":[", "timeout_ms must be an integer from 1000 to 600000.")]
    [InlineData("\"models\":[", "\"priority\":1,\"models\":[", "priority is not a known field here.")]
    [InlineData("\"models\":[", "\"api_key_env\":\"NOPE\",\"models\":[", "api_key_env names NOPE, which is not set i"
        + "n the environment.")]
    [InlineData("\"input_usd_per_million\":3,", "", "models[0].input_usd_per_million is required, a number from 0 to"
        + " 1000000; 0 for a model that is free, or set inference.allow_unpriced.")]
    [InlineData("\"input_usd_per_million\":3,", "\"input_usd_per_million\":-3,", "models[0].input_usd_per_million mu"
        + "st be a number from 0 to 1000000 with at most 6 decimals.")]
    [InlineData("\"max_output_tokens\":4096", "\"max_output_tokens\":128001", "models[0].max_output_tokens must be a"
        + "n integer from 1 to 128000.")]
    [InlineData("\"quality\":60", "\"quality\":101", "models[0].quality must be an integer from 0 to 100.")]
    [InlineData("\"tools\"]", "\"magic\"]", "models[0].capabilities must be of chat, tools, structured_output, visio"
        + "n, streaming.")]
    [InlineData("[\"chat\",", "[", "models[0].capabilities must have chat or embeddings among them.")]
    [InlineData("[\"chat\",", "[\"embeddings\",", "models[0].capabilities must be of embeddings, dimensions.")]
    [InlineData("[\"chat\",\"tools\"]", "[\"embeddings\"]", "models[0].max_output_tokens is not a known field here.")]
    [InlineData("mesh/house-1", "mesh/swift", "models[0].id mesh/swift is a tier; inference.tiers maps it to a model.")]
    [InlineData("\"quality\":60", "\"published\":\"2025\"", "models[0].published must be a date such as 2025-09-29.")]
    [InlineData("mesh/house-1", "auto", "models[0].id must be letters, digits and . _ : / -, and neither a router mo"
        + "de nor begin with reeve/ or agt_.")]
    [InlineData("\"quality\"", "\"qualty\"", "models[0].qualty is not a known field here (did you mean quality?).")]
    public void Read_WrongProvider_SaysWhatIsWrong(string right, string wrong, string message)
    {
        var file = Providers(House);
        _files["./reeve.json"] = file;
        Read();
        _files["./reeve.json"] = file.Replace(right, wrong, StringComparison.Ordinal);
        Assert.Equal("reeve.json: inference.providers[0]." + message, Error());
    }

    [Fact]
    public void Read_SameNameTwice_IsRefusedAndTheSameModelOfTwoProvidersIsNot()
    {
        _files["./reeve.json"] = Providers(House, House);
        Assert.Equal("reeve.json: inference.providers[1].name house is there twice.", Error());
        _files["./reeve.json"] = Providers(House, House.Replace("\"house\"", "\"home\"", StringComparison.Ordinal));
        Assert.Equal(["house", "home"], Read().Inference.Providers.Select(static provider => provider.Name));
    }

    [Fact]
    public void Read_KeysInTheEnvironment_EnableTheShippedModels()
    {
        _environment["OPENAI_API_KEY"] = "sk-1";
        _environment["ANTHROPIC_BASE_URL"] = "http://127.0.0.1:9/";
        _environment["ANTHROPIC_API_KEY"] = " ";

        var providers = Read().Inference.Providers;

        Assert.Equal(["openai", "anthropic"], providers.Select(provider => provider.Name));
        Assert.Equal("https://api.openai.com/v1", providers[0].BaseUrl.AbsoluteUri);
        Assert.Equal("sk-1", providers[0].ApiKey!.Reveal());
        Assert.Equal(("http://127.0.0.1:9/", null), (providers[1].BaseUrl.AbsoluteUri, providers[1].ApiKey));
        Assert.All(providers, provider => Assert.Equal(PrivacyMarks.Nothing, provider.Marks));
        Assert.Contains("mesh/claude-sonnet-4.5", providers[1].Models.Select(model => model.Id));
    }

    [Fact]
    public void Read_FileNamesAShippedProvider_ItReplacesTheOneOfTheEnvironment()
    {
        _environment["ANTHROPIC_API_KEY"] = "sk-2";
        _files["./reeve.json"] = Providers("""{"name":"anthropic","kind":"anthropic","zero_retention":true}""");

        var provider = Assert.Single(Read().Inference.Providers);

        Assert.Equal((true, "sk-2"), (provider.Marks.ZeroRetention, provider.ApiKey!.Reveal()));
        Assert.Equal(WellKnownModels.Of("anthropic"), provider.Models);
    }

    [Fact]
    public void Read_FileNamesAShippedModel_ItReplacesThatModelAlone()
    {
        _environment["ANTHROPIC_API_KEY"] = "sk-2";
        _files["./reeve.json"] = Providers(
            House.Replace("mesh/house-1", "mesh/claude-opus-4.5", StringComparison.Ordinal));

        var providers = Read().Inference.Providers;

        Assert.Equal("mesh/claude-opus-4.5", Assert.Single(providers[0].Models).Id);
        Assert.Equal(
            ["mesh/claude-haiku-4.5", "mesh/claude-sonnet-4.5"], providers[1].Models.Select(model => model.Id));
    }

    [Theory]
    [InlineData("mesh/text-embedding-3-small", null)]
    [InlineData("mesh/embed", null)]
    [InlineData("./models/mini", null)]
    [InlineData("/srv/mini", null)]
    [InlineData("mini", "names mini, which no provider has; a folder begins with / or ./")]
    [InlineData("mesh/house-1", "names mesh/house-1, which is no model for embeddings")]
    public void Read_Embeddings_AreAModelForThemOrAFolder(string embeddings, string? error)
    {
        _environment["OPENAI_API_KEY"] = "k";
        _files["./reeve.json"] = $$"""
            {"inference":{"providers":[{{House}}],"tiers":{"mesh/embed":"mesh/text-embedding-3-small"} },
            "retrieval":{"embeddings":"{{embeddings}}","vector_bytes_max":1048576} }
            """;

        if (error is null)
        {
            Assert.Equal(new RetrievalOptions { Embeddings = embeddings, VectorBytesMax = 1 << 20 }, Read().Retrieval);
        }
        else
        {
            Assert.Equal($"reeve.json: retrieval.embeddings {error}.", Error());
        }
    }

    [Fact]
    public void Read_VectorBytes_HaveARange()
    {
        Assert.Equal((null, 256L << 20), (Read().Retrieval.Embeddings, Read().Retrieval.VectorBytesMax));
        _files["./reeve.json"] = """{"retrieval":{"vector_bytes_max":1}}""";
        Assert.Contains("retrieval.vector_bytes_max", Error(), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_KeysAndHost_EnableGeminiAndOllama()
    {
        _environment["GEMINI_API_KEY"] = "g-1";
        _environment["OLLAMA_HOST"] = "10.0.0.7";

        var providers = Read().Inference.Providers;

        Assert.Equal(["gemini", "ollama"], providers.Select(provider => provider.Name));
        Assert.Equal("g-1", providers[0].ApiKey!.Reveal());
        Assert.Equal(("http://10.0.0.7:11434/", null), (providers[1].BaseUrl.AbsoluteUri, providers[1].ApiKey));
        Assert.All(providers[1].Models, model => Assert.Equal(0, model.InputUsdPerMillion + model.OutputUsdPerMillion));
        Assert.Contains(providers[0].Models, model => model.MakesEmbeddings);
        Assert.Equal([true, false], providers.Select(provider => provider.Models[0].TakesImageUrls));
    }

    [Theory]
    [InlineData("http://ollama:80", "http://ollama/")]
    [InlineData("ollama:80", "http://ollama/")]
    [InlineData("https://ollama.example", "https://ollama.example/")]
    [InlineData("127.0.0.1:9", "http://127.0.0.1:9/")]
    [InlineData("ollama", "http://ollama:11434/")]
    public void Read_OllamaHost_IsReadAsOllamaDoes(string host, string address)
    {
        _environment["OLLAMA_HOST"] = host;
        Assert.Equal(address, Read().Inference.Providers[0].BaseUrl.AbsoluteUri);
    }

    [Fact]
    public void Read_KnownProviderByName_HasAddressKeyAndModelsOfTheCatalogue()
    {
        _environment["GROQ_API_KEY"] = "gsk";
        Assert.Empty(Read().Inference.Providers);
        _files["./reeve.json"] = Providers("""{"name":"groq","kind":"openai"}""");

        var provider = Assert.Single(Read().Inference.Providers);

        Assert.Equal(("https://api.groq.com/openai/v1", "gsk"),
            (provider.BaseUrl.AbsoluteUri, provider.ApiKey!.Reveal()));
        Assert.Contains("mesh/llama-3.3-70b", provider.Models.Select(model => model.Id));
    }

    [Fact]
    public void Read_SingleValuesOfAShippedModel_LeaveTheOthersAsTheyAre()
    {
        _environment["ANTHROPIC_API_KEY"] = "k";
        _files["./reeve.json"] = Providers(
            """
            {"name":"anthropic","kind":"anthropic","models":[{"id":"mesh/claude-opus-4.5","input_usd_per_million":4,
            "cache_write_usd_per_million":4.5,"context_tokens":32000},{"id":"mesh/claude-sonnet-4.5"}]}
            """);

        var models = Assert.Single(Read().Inference.Providers).Models;

        var shipped = WellKnownModels.Of("anthropic");
        Assert.Equal(
            shipped.Single(model => model.Id == "mesh/claude-opus-4.5") with
            {
                InputUsdPerMillion = 4,
                CacheWriteUsdPerMillion = 4.5m,
                ContextTokens = 32_000,
                OutputTokensMax = 32_000,
            },
            models[0]);
        Assert.Equal(shipped.Single(model => model.Id == "mesh/claude-sonnet-4.5"), models[1]);
    }

    [Fact]
    public void Read_UnpricedModel_IsLetInAtZeroAndMarkedOnlyWhereThatIsAllowed()
    {
        var house = House.Replace("\"input_usd_per_million\":3,", "", StringComparison.Ordinal);
        _files["./reeve.json"] = Providers(house);
        Assert.Contains("or set inference.allow_unpriced", Error(), StringComparison.Ordinal);
        _files["./reeve.json"] = Providers(house).Replace(
            "\"inference\":{", "\"inference\":{\"allow_unpriced\":true,", StringComparison.Ordinal);

        var model = Read().Inference.Providers[0].Models[0];

        Assert.Equal((false, 0m), (model.IsPriced, model.InputUsdPerMillion));
        _files["./reeve.json"] = Providers(House);
        Assert.True(Read().Inference.Providers[0].Models[0].IsPriced);
    }

    [Fact]
    public void Read_Tiers_AreMappedToModels()
    {
        _environment["OPENAI_API_KEY"] = "k";
        _files["./reeve.json"] =
            """
            {"inference":{"tiers":{"mesh/swift":"mesh/gpt-5-nano","mesh/pro":"reeve/quote",
            "mesh/embed":"mesh/text-embedding-3-small"}}}
            """;
        Assert.Equal(
            [
                KeyValuePair.Create("mesh/swift", "mesh/gpt-5-nano"), KeyValuePair.Create("mesh/pro", "reeve/quote"),
                KeyValuePair.Create("mesh/embed", "mesh/text-embedding-3-small"),
            ],
            Read().Inference.Tiers);
    }

    [Theory]
    [InlineData("\"dimensions\":3,\"capabilities\":[\"embeddings\"]", null)]
    [InlineData("\"capabilities\":[\"embeddings\"]", null)]
    [InlineData("\"dimensions\":4,\"capabilities\":[\"embeddings\"]",
        "models[0].dimensions is 4, and 3 for e of another provider.")]
    [InlineData("\"max_output_tokens\":9,\"output_usd_per_million\":1",
        "models[0].id e makes embeddings of one provider and answers of another.")]
    public void Read_EmbeddingsOfTwoProviders_MustBeTheSame(string second, string? message)
    {
        const string Model = "\"id\":\"e\",\"upstream\":\"e\",\"context_tokens\":9,\"input_usd_per_million\":1,";
        const string First = $"{{{Model}\"dimensions\":3,\"capabilities\":[\"embeddings\"]}}";
        _files["./reeve.json"] = Providers($$"""
            {"name":"a","kind":"openai","base_url":"http://h/v1","models":[{{First}}]},
            {"name":"b","kind":"openai","base_url":"http://h/v1","models":[{ {{Model}}{{second}} }]}
            """);
        if (message is null)
        {
            Assert.Equal(["e", "e"], Read().Inference.Providers.Select(static one => one.Models[0].Id));
        }
        else
        {
            Assert.Equal("reeve.json: inference.providers[1]." + message, Error());
        }
    }

    [Theory]
    [InlineData("", null)]
    [InlineData("\"hedge_after_ms\":null", null)]
    [InlineData("\"hedge_after_ms\":1500", 1_500)]
    public void Read_HedgeAfter_IsOffUnlessItIsSet(string members, int? milliseconds)
    {
        _files["./reeve.json"] = $"{{\"inference\":{{{members}}}}}";
        Assert.Equal(milliseconds, Read().Inference.HedgeAfter?.TotalMilliseconds);
    }

    [Theory]
    [InlineData("mesh/swift", "mesh/nope", "names mesh/nope, which no provider has.")]
    [InlineData("mesh/swift", "mesh/text-embedding-3-small", "names mesh/text-embedding-3-small, which is a model for "
        + "embeddings.")]
    [InlineData("mesh/embed", "mesh/gpt-5", "names mesh/gpt-5, which is not a model for embeddings.")]
    [InlineData("mesh/embed", "reeve/quote", "names reeve/quote, which no provider has.")]
    [InlineData("mesh/fast", "mesh/gpt-5", "is not a known field here.")]
    public void Read_WrongTier_SaysWhatIsWrong(string tier, string model, string message)
    {
        _environment["OPENAI_API_KEY"] = "k";
        _files["./reeve.json"] = "{\"inference\":{\"tiers\":{\"" + tier + "\":\"" + model + "\"}}}";
        Assert.Equal($"reeve.json: inference.tiers.{tier} {message}", Error());
    }

    [Theory]
    [InlineData("REEVE_URLS", "localhost", "REEVE_URLS must be http or https addresses without a path, separated by "
        + "semicolons.")]
    [InlineData("OPENAI_BASE_URL", "nowhere", "OPENAI_BASE_URL must be an http or https address without user, query "
        + "or fragment.")]
    [InlineData("OPENAI_API_KEY", "a\nb", "OPENAI_API_KEY must be printable ASCII characters without spaces.")]
    [InlineData("REEVE_CONFIG", "/no.json", "REEVE_CONFIG names /no.json, which does not exist.")]
    public void Read_WrongEnvironment_SaysWhatIsWrongWithoutTheValue(string name, string value, string message)
    {
        _environment[name] = value;
        Assert.Equal(message, Error());
    }

    [Theory]
    [InlineData("--nope is not an option of serve; there are --urls, --data, --config.", "--nope", "x")]
    [InlineData("--data needs a value.", "--data")]
    [InlineData("--data needs a value.", "--data=")]
    [InlineData("--data is given twice.", "--data", "a", "--data", "b")]
    public void Read_WrongFlags_SaysWhatIsWrong(string message, params string[] args) =>
        Assert.Equal(message, Error(args));

    private static string Providers(params string[] providers) =>
        "{\"inference\":{\"providers\":[" + string.Join(",", providers) + "]}}";

    private ReeveOptions Read(params string[] args) => ReeveOptionsReader.Read(
        args,
        name => _environment.GetValueOrDefault(name),
        path => _files.TryGetValue(path, out var text) ? Encoding.UTF8.GetBytes(text) : null);

    private string Error(params string[] args) => Assert.Throws<ReeveOptionsException>(() => Read(args)).Message;
}
