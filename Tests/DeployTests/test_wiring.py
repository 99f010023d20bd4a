# SPDX-License-Identifier: Apache-2.0
"""The objects fit each other: names, labels, ports, secrets and times."""

import re
import urllib.parse

import pytest

WORKLOADS = {"Deployment", "StatefulSet"}
# Of `vllm serve` 0.32: https://docs.vllm.ai/en/latest/cli/serve/
VLLM_FLAGS = {
    "--served-model-name", "--port", "--max-model-len", "--gpu-memory-utilization",
    "--enable-chunked-prefill", "--enable-prefix-caching", "--max-num-batched-tokens",
    "--max-num-seqs", "--enable-prompt-tokens-details", "--shutdown-timeout",
}


@pytest.fixture
def workloads(objects):
    return {o["metadata"]["name"]: o for o in objects if o["kind"] in WORKLOADS}


@pytest.fixture
def services(objects):
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == "Service"}


def pod_of(workload):
    return workload["spec"]["template"]


def selects(selector, labels):
    return all(labels.get(name) == value for name, value in selector.items())


def containers(workloads):
    return [c for w in workloads.values() for c in pod_of(w)["spec"]["containers"]]


def port_names(workload):
    return {
        port["name"]: port["containerPort"]
        for container in pod_of(workload)["spec"]["containers"]
        for port in container["ports"]
    }


def file_mode_values(configuration):
    """All texts of the configuration, wherever they stand."""
    if isinstance(configuration, dict):
        return [t for value in configuration.values() for t in file_mode_values(value)]
    if isinstance(configuration, list):
        return [t for value in configuration for t in file_mode_values(value)]
    return [configuration] if isinstance(configuration, str) else []


def test_a_workload_selects_its_own_pods_and_no_others(workloads):
    for name, workload in workloads.items():
        selector = workload["spec"]["selector"]["matchLabels"]
        chosen = {
            other
            for other, candidate in workloads.items()
            if selects(selector, pod_of(candidate)["metadata"]["labels"])
        }
        assert chosen == {name}


def test_a_service_leads_to_a_port_of_the_workload_of_its_name(services, workloads):
    for name, service in services.items():
        selector = service["spec"]["selector"]
        assert selects(selector, pod_of(workloads[name])["metadata"]["labels"])
        for port in service["spec"]["ports"]:
            assert port_names(workloads[name])[port["targetPort"]] == port["port"]


def test_a_stateful_set_has_its_headless_service(workloads, services):
    for workload in workloads.values():
        if workload["kind"] == "StatefulSet":
            assert services[workload["spec"]["serviceName"]]["spec"]["clusterIP"] == "None"


def test_spread_and_disruption_are_about_the_gateways(workloads, named):
    gateway = pod_of(workloads["penstock"])
    labels = gateway["metadata"]["labels"]
    for rule in gateway["spec"]["topologySpreadConstraints"]:
        assert selects(rule["labelSelector"]["matchLabels"], labels)
    budget = named("PodDisruptionBudget", "penstock")["spec"]
    assert selects(budget["selector"]["matchLabels"], labels)
    least = named("HorizontalPodAutoscaler", "penstock")["spec"]["minReplicas"]
    assert 0 < budget["minAvailable"] < least


def test_every_policy_selects_a_workload_and_names_its_ports(objects, workloads):
    policies = [o for o in objects if o["kind"] == "NetworkPolicy"]
    covered = set()
    for policy in policies:
        selector = policy["spec"]["podSelector"]["matchLabels"]
        chosen = [
            w for w in workloads.values() if selects(selector, pod_of(w)["metadata"]["labels"])
        ]
        assert chosen, policy["metadata"]["name"]
        covered.update(w["metadata"]["name"] for w in chosen)
        for rule in policy["spec"].get("ingress", []):
            for port in rule["ports"]:
                assert all(port["port"] in port_names(w) for w in chosen)
    assert covered == set(workloads)


def test_the_gateway_may_reach_what_its_configuration_names(configuration, named, workloads):
    allowed = named("NetworkPolicy", "penstock")["spec"]["egress"]
    for url in [e for p in configuration["pools"] for e in p["endpoints"]]:
        target = urllib.parse.urlsplit(url)
        assert is_allowed(allowed, workloads, target.hostname.split(".")[1], target.port)
    for address in configuration["store"]["redis"]["addresses"]:
        host, port = address.rsplit(":", 1)
        assert is_allowed(allowed, workloads, host.split(".")[0], int(port))


def is_allowed(rules, workloads, name, port):
    labels = pod_of(workloads[name])["metadata"]["labels"]
    return any(
        peer.get("podSelector") and selects(peer["podSelector"]["matchLabels"], labels)
        for rule in rules
        if port in [p["port"] for p in rule["ports"]]
        for peer in rule["to"]
    )


def test_probes_go_to_ports_that_are_there(workloads):
    for workload in workloads.values():
        for container in pod_of(workload)["spec"]["containers"]:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if "httpGet" in container[probe]:
                    assert container[probe]["httpGet"]["port"] in port_names(workload)


def test_the_gateway_listens_where_its_pod_says(configuration, workloads):
    ports = port_names(workloads["penstock"])
    assert configuration["listeners"][0]["address"] == f"0.0.0.0:{ports['http']}"
    assert configuration["admin"]["address"] == f"0.0.0.0:{ports['admin']}"


def test_the_gateway_reads_the_configuration_that_is_mounted(workloads, base):
    pod = pod_of(workloads["penstock"])["spec"]
    container = pod["containers"][0]
    path = container["args"][container["args"].index("--config") + 1]
    folder, name = path.rsplit("/", 1)
    mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
    volume = next(v for v in pod["volumes"] if v["name"] == mounts[folder])
    assert volume["configMap"]["name"].startswith("penstock-config-")
    assert (base / name).is_file()


def test_every_secret_is_one_that_the_page_says_how_to_make(
    configuration, objects, workloads, deploy
):
    page = (deploy / "README.md").read_text()
    made = set(re.findall(r"--from-literal=([a-z-]+)=", page))
    assert "create secret generic penstock-secrets" in page
    needed = set()
    mount = "file:/run/secrets/penstock/"
    for text in file_mode_values(configuration):
        if text.startswith(mount):
            needed.add(text.removeprefix(mount))
    for workload in workloads.values():
        for container in pod_of(workload)["spec"]["containers"]:
            for variable in container.get("env", []):
                if "valueFrom" in variable:
                    reference = variable["valueFrom"]["secretKeyRef"]
                    assert reference["name"] == "penstock-secrets"
                    needed.add(reference["key"])
        for volume in pod_of(workload)["spec"]["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["secretName"] == "penstock-secrets"
                needed.update(item["key"] for item in volume["secret"].get("items", []))
    for monitor in [o for o in objects if o["kind"] == "ServiceMonitor"]:
        for endpoint in monitor["spec"]["endpoints"]:
            needed.add(endpoint["authorization"]["credentials"]["key"])
    assert needed == made
    assert not [o for o in objects if o["kind"] == "Secret"], "a secret in the open"


def test_the_monitor_finds_the_gateways_service_and_keeps_its_labels(named, services):
    monitor = named("ServiceMonitor", "penstock")["spec"]
    chosen = [
        name
        for name, service in services.items()
        if selects(monitor["selector"]["matchLabels"], service["metadata"]["labels"])
    ]
    assert chosen == ["penstock"]
    ports = {port["name"] for port in services["penstock"]["spec"]["ports"]}
    for endpoint in monitor["endpoints"]:
        assert endpoint["port"] in ports
        # Else the operator's own label `endpoint` takes the place of the engine's address.
        assert endpoint["honorLabels"] is True


def test_every_image_has_a_version(workloads):
    for container in containers(workloads):
        name, _, tag = container["image"].rpartition(":")
        assert name and re.search(r"\d", tag), container["image"]


def test_nothing_runs_with_more_rights_than_it_needs(workloads):
    for name, workload in workloads.items():
        pod = pod_of(workload)["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        # The image of vLLM expects to be root.
        if not name.startswith("vllm-"):
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_everything_asks_for_what_it_uses(workloads):
    for container in containers(workloads):
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert "cpu" not in container["resources"]["limits"]


def test_there_is_time_to_drain(workloads, configuration):
    grace = {
        name: pod_of(w)["spec"]["terminationGracePeriodSeconds"] for name, w in workloads.items()
    }
    drain = int(configuration["http"]["drain_timeout"].removesuffix("s"))
    assert grace["penstock"] > drain
    # A rollout cuts no interactive stream.
    interactive = next(c for c in configuration["classes"] if c["name"] == "interactive")
    assert drain >= int(interactive["timeouts"]["total"].removesuffix("s"))
    for name, workload in workloads.items():
        for flag in pod_of(workload)["spec"]["containers"][0].get("args", []):
            if flag.startswith("--shutdown-timeout="):
                assert grace[name] > int(flag.split("=")[1])


def test_every_pool_has_one_endpoint_for_each_pod_that_may_be(
    configuration, named, objects, workloads
):
    most = {
        o["spec"]["scaleTargetRef"]["name"]: o["spec"].get("maxReplicas")
        or o["spec"].get("maxReplicaCount")
        for o in objects
        if o["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")
    }
    for pool in configuration["pools"]:
        name = f"vllm-{pool['name']}"
        port = port_names(workloads[name])["http"]
        suffix = f"{workloads[name]['spec']['serviceName']}.penstock.svc.cluster.local:{port}"
        expected = [f"http://{name}-{place}.{suffix}" for place in range(most[name])]
        assert pool["endpoints"] == expected


def test_a_workload_has_at_most_one_scaler_and_then_no_fixed_size(objects, workloads):
    scaled = [
        o["spec"]["scaleTargetRef"]
        for o in objects
        if o["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")
    ]
    names = [target["name"] for target in scaled]
    assert len(names) == len(set(names))
    for target in scaled:
        workload = workloads[target["name"]]
        assert (target["apiVersion"], target["kind"]) == ("apps/v1", workload["kind"])
        assert "replicas" not in workload["spec"]
    assert workloads["penstock-redis"]["spec"]["replicas"] == 1
    assert set(names) | {"penstock-redis"} == set(workloads)


def test_scaling_goes_up_sooner_than_down(objects):
    for item in objects:
        if item["kind"] == "HorizontalPodAutoscaler":
            behavior = item["spec"]["behavior"]
        elif item["kind"] == "ScaledObject":
            advanced = item["spec"]["advanced"]
            behavior = advanced["horizontalPodAutoscalerConfig"]["behavior"]
        else:
            continue
        up, down = behavior["scaleUp"], behavior["scaleDown"]
        assert up["stabilizationWindowSeconds"] * 10 <= down["stabilizationWindowSeconds"]
        assert all(policy["type"] == "Pods" for policy in down["policies"])


def test_targets_of_the_interactive_pool_follow_its_capacity(configuration, named):
    capacity = next(p for p in configuration["pools"] if p["name"] == "interactive")["capacity"]
    scaler = named("HorizontalPodAutoscaler", "vllm-interactive")["spec"]
    targets = {
        m["external"]["metric"]["name"]: m["external"]["target"]["averageValue"]
        for m in scaler["metrics"]
    }
    for direction, phase in (("in", "prefill"), ("out", "decode")):
        wanted = 0.75 * capacity[f"{phase}_tokens_per_second"]
        assert float(targets[f"penstock_pool_tokens_{direction}_per_second"]) == wanted


def test_engines_are_started_with_flags_that_they_have(workloads, configuration):
    for pool in configuration["pools"]:
        container = pod_of(workloads[f"vllm-{pool['name']}"])["spec"]["containers"][0]
        assert container["command"] == ["vllm", "serve"]
        model, *flags = container["args"]
        assert not model.startswith("-")
        given = dict(flag.partition("=")[::2] for flag in flags)
        assert set(given) <= VLLM_FLAGS
        assert [given["--served-model-name"]] == pool["models"]
        served = {m["name"]: m for m in configuration["models"]}[pool["models"][0]]
        assert int(given["--max-model-len"]) == served["context_length"]


def test_redis_never_forgets_a_budget(named, objects):
    config = next(
        o
        for o in objects
        if o["kind"] == "ConfigMap" and o["metadata"]["name"].startswith("penstock-redis-config-")
    )
    settings = dict(
        line.split(maxsplit=1)
        for line in config["data"]["redis.conf"].splitlines()
        if line and not line.startswith("#")
    )
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["appendonly"] == "yes"
    redis = pod_of(named("StatefulSet", "penstock-redis"))["spec"]["containers"][0]
    mounts = {mount["mountPath"]: mount["name"] for mount in redis["volumeMounts"]}
    claims = named("StatefulSet", "penstock-redis")["spec"]["volumeClaimTemplates"]
    assert mounts[settings["dir"]] in [claim["metadata"]["name"] for claim in claims]
    assert int(settings["port"]) == redis["ports"][0]["containerPort"]
