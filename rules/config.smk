"""Freeze configuration sections: a step reads one small file and reruns only when that changes."""


localrules:
    freeze_config_section,


rule freeze_config_section:
    """Write one configuration section as canonical JSON."""
    output:
        "<results>/config/{section}.json",
    log:
        "<logs>/config/{section}.log",
    benchmark:
        "<benchmarks>/config/{section}.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=400,
        runtime="5m",
    params:
        text=section_of,
    shell:
        "printf '%s' {params.text:q} >{output:q} 2>{log:q}"
