"""Included last, when every rule is known: rules with gpu=1 go where the profile says."""

try:
    partitions.send_gpu_rules(workflow)
except InputError as error:
    raise StudyError(str(error)) from None
