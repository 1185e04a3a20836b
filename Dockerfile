# The course in a container, with JupyterLab on port 8888 of this machine:
#   docker build -t pgcourse .
#   docker run --rm -it -p 127.0.0.1:8888:8888 -v pgcourse-my:/home/learner/pgcourse/my pgcourse
# Then open the address that it prints. What you write stays in the volume pgcourse-my.
FROM python:3.12-slim

# JupyterLab does not start for root, and a volume belongs to whom the folder in the image belongs to.
RUN useradd --create-home learner && install -d -o learner /home/learner/pgcourse /home/learner/pgcourse/my
USER learner
WORKDIR /home/learner/pgcourse

COPY --chown=learner constraints.txt pyproject.toml README.md LICENSE start.py ./
COPY --chown=learner pgcourse pgcourse
RUN python3 start.py setup && rm -rf ~/.cache/pip
COPY --chown=learner . .

EXPOSE 8888
CMD ["python3", "start.py", "lab", "--ip=0.0.0.0", "--no-browser"]
